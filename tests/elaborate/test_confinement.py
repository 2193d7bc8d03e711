"""Prompt templates are confined: what is not available is refused, the rest is bounded, faults are Jinja's errors."""

from __future__ import annotations

import jinja2
import pytest
from elaborate.programs import MODELS, errors

from pnyx.compiler.cost import estimate
from pnyx.compiler.operators import PromptText
from pnyx.compiler.program import Program
from pnyx.compiler.prompts import TemplateFault, TemplateUse, check_template, render


def shown(template: str, **variables: object) -> str:
    assert isinstance(check_template(template), TemplateUse)
    return render(PromptText(name="p", params=tuple(variables), user=template), variables).user


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for a in x %}" * 21 + "{% endfor %}" * 21, "nested too deeply"),
        ("{% if x %}" * 200 + "{% endif %}" * 200, "nested too deeply"),
        ("{{ " + "(" * 2000 + "x" + ")" * 2000 + " }}", "nested too deeply"),
        ("{{ " + "9" * 5000 + " }}", "number that is too long"),
        ("{{ x.center(999999999) }}", "calls are not available"),
        ("{% for c in x recursive %}{% endfor %}", "`recursive` is not available"),
        ("{% block b %}{{ self }}{% endblock %}", "`block` is not available"),
        ("{% set a %}{{ x }}{% endset %}", "not blocks"),
        ("{% filter upper %}{{ x }}{% endfilter %}", "not blocks"),
        ("{% set n.a = 1 %}", "not blocks"),
        ("{% set a = [x, x] %}{{ a }}", "hold texts and numbers"),
        ("{% macro m() %}{% endmacro %}", "`macro` are not available"),
    ],
)
def test_what_is_not_available_is_refused(template: str, message: str) -> None:
    fault = check_template(template)
    assert isinstance(fault, TemplateFault)
    assert message in fault.message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for a in x %}" * 6 + "{% endfor %}" * 6, "loops go on for too long"),
        ("{% set x = x ~ x %}" * 40 + "{{ x }}", "text becomes too long"),
        ("{% set x = x + x %}" * 40 + "{{ x }}", "text becomes too long"),
        ("{% set x = x | replace('a', 'aaaaaaaaaa') %}" * 12 + "{{ x }}", "text becomes too long"),
        ("{% set x = x | join(x) %}" * 12 + "{{ x }}", "text becomes too long"),
        (
            "{% for a in x %}{% for b in x %}{% for c in x %}{{ x }}{{ x }}{% endfor %}{% endfor %}{% endfor %}",
            "too long",
        ),
        ("{{ 1.5 | round(99999999, 'ceil') }}{{ x }}", "`round`"),
        ("{{ x | tojson(indent = 999999999) }}", "`tojson`"),
        ("{{ 2 ** 99999999 }}{{ x }}", "`**`"),
        ("{{ x | truncate(-1) }}", "length"),
        ("{{ x | sort(attribute = 3.5) | first + 1 }}", ".+"),
        ("{{ 1 / 0 }}{{ x }}", "zero"),
    ],
)
def test_what_fails_or_grows_too_much_ends_in_an_error_of_jinja(template: str, message: str) -> None:
    with pytest.raises(jinja2.TemplateError, match=message.replace("*", r"\*")):
        shown(template, x="a" * 200)


def test_the_inside_of_values_is_not_there() -> None:
    assert shown("{{ x.__class__.__mro__ }}{{ x['__class__'] }}-{% for c in x.__class__ %}y{% endfor %}", x="a") == "-"


def test_ordinary_templates_are_rendered_as_before() -> None:
    pool = [{"text": "a", "score": 1.25}, {"text": "b"}]
    assert shown("{% for c in p %}{{ loop.index }}/{{ loop.length }}{{ c.text }}{% endfor %}", p=pool) == "1/2a2/2b"
    assert shown("{% for c in p | reverse %}{{ c.text }}{% else %}none{% endfor %}", p=pool) == "ba"
    assert shown("{% for c in p if c.score %}{{ c.text }}{{ c.score | round(1) }}{% endfor %}", p=pool) == "a1.2"
    assert shown("{{ p | join('-', attribute = 'text') }}", p=pool) == "a-b"
    assert shown("{% set n = p | length %}{{ n ~ ' of ' ~ (n + 1) }}", p=pool) == "2 of 3"
    assert shown("{{ 'aa' | replace('a', 'b', 1) }}{{ [1, 2] | join(',') }}", p=pool) == "ba1,2"
    assert shown("{{ p[0] | tojson }}", p=pool) == '{"score": 1.25, "text": "a"}'
    assert shown("{% for c in absent %}x{% endfor %}-", absent=jinja2.ChainableUndefined()) == "-"


def test_a_program_with_such_a_prompt_is_still_estimated() -> None:
    program = f'{MODELS}prompt p(query) = "{{{{ query | truncate(-1) }}}}"\npipeline main(q) {{ q |> ask(small, p) }}'
    assert errors(program) == []
    assert estimate(Program.parse(program).compile()).total.calls.most == 1
