"use strict";
// Everything from the trace is put into the page as text: no markup is ever made of it.
(() => {
  const FIELDS = ["index", "id", "question", "answer", "state", "code", "calls", "tokens", "seconds", "retries",
    "unread", "stored", "chunk", "place"];
  const PAGE = 100;
  const byId = (id) => document.getElementById(id);

  function el(tag, kind, text) {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined && text !== null) made.textContent = String(text);
    return made;
  }
  function put(parent, ...children) {
    for (const child of children) if (child) parent.append(child);
    return parent;
  }
  async function unpacked(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }
  const number = (value) => value >= 1e6 ? (value / 1e6).toPrecision(3) + "M"
    : value >= 1e4 ? (value / 1e3).toPrecision(3) + "k" : String(value);
  const seconds = (value) => value === 0 ? "0 s" : value < 0.001 ? (value * 1e6).toFixed(0) + " µs"
    : value < 1 ? (value * 1e3).toPrecision(3) + " ms" : value < 120 ? value.toPrecision(3) + " s"
    : (value / 60).toPrecision(3) + " min";
  const many = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

  // A chunk holds the details of some examples; the last few stay unpacked.
  const chunks = new Map();
  function chunk(at) {
    if (!chunks.has(at)) {
      chunks.set(at, unpacked(`chunk-${at}`));
      if (chunks.size > 4) chunks.delete(chunks.keys().next().value);
    }
    return chunks.get(at);
  }

  function tags(...all) {
    const made = el("span", "tags");
    for (const [text, kind] of all) if (text) made.append(el("span", "tag" + (kind ? " " + kind : ""), text));
    return made;
  }
  function lazy(kind, summary, fill, open) {
    const made = el("details", kind);
    made.append(put(el("summary"), ...summary));
    let filled = false;
    const ready = () => { if (made.open && !filled) { filled = true; fill(made); } };
    made.addEventListener("toggle", ready);
    if (open) { made.open = true; ready(); }
    return made;
  }
  function texts(parent, messages) {
    for (const message of messages) put(parent, el("p", "role", message.role), el("div", "text", message.content));
  }

  function bar(began, ended, spans) {
    const whole = Math.max(ended - began, 1e-9);
    const made = el("div", "bar");
    const piece = (from, to, kind) => {
      const part = el("i", kind);
      part.style.left = `${Math.max(0, (from - began) / whole * 100)}%`;
      part.style.width = `${Math.max(0, (to - from) / whole * 100)}%`;
      made.append(part);
    };
    for (const [queue, from, to] of spans) { piece(from - queue, from, "queue"); piece(from, to, "engine"); }
    return made;
  }

  function value(parent, given) {
    if (given === null || given === undefined) { parent.append(el("div", "text", "absent")); return; }
    if (Array.isArray(given.pool)) {
      given.pool.forEach((candidate, i) => {
        const box = el("div", "candidate");
        const rest = Object.entries(candidate).filter(([name]) => name !== "text")
          .map(([name, said]) => `${name} = ${typeof said === "number" ? +said.toPrecision(6) : said}`);
        put(box, el("div", "fields", [`${i + 1}`, ...rest].join(" · ")));
        if (candidate.text !== undefined) box.append(el("div", "text", candidate.text));
        parent.append(box);
      });
      if (!given.pool.length) parent.append(el("div", "text", "no candidates"));
    } else if (Array.isArray(given.parts)) given.parts.forEach((part) => value(parent, part));
    else parent.append(el("div", "text", given.chat !== undefined ? given.chat : given));
  }
  function briefly(given) {
    if (given === null || given === undefined) return "absent";
    if (Array.isArray(given.pool)) return many(given.pool.length, "candidate");
    if (Array.isArray(given.parts)) return given.parts.map(briefly).join(", ");
    const said = String(given.chat !== undefined ? given.chat : given);
    return said.length > 40 ? said.slice(0, 40) + "…" : said;
  }

  function call(data, example) {
    const engine = data.spans.reduce((sum, [, from, to]) => sum + to - from, 0);
    const queue = data.spans.length ? Math.max(...data.spans.map(([waited]) => waited)) : 0;
    const answered = !data.failure && !data.dropped;
    const name = `call ${data.slot + 1}${data.attempt ? `, try ${data.attempt + 1}` : ""}`;
    const marks = tags(
      [data.failure ? data.failure.code : "", "bad"], [data.dropped ? "dropped" : "", "bad"],
      [data.unread ? "unread reply" : "", "mark"],
      [data.retries ? `${data.retries} retried` : "", "mark"],
      [data.stored.whole ? "from the store" : data.stored.samples ? `${data.stored.samples} from the store` : ""],
      [data.n > 1 ? `${data.n} samples` : ""],
      [answered ? `${number(data.usage.prompt)} in${data.usage.cached
        ? ` (${number(data.usage.cached)} cached)` : ""}` : ""],
      [answered ? `${number(data.usage.generated)} out` : ""], [queue ? `waited ${seconds(queue)}` : ""],
      [engine ? seconds(engine) : ""]);
    const kind = "call" + (data.failure || data.dropped ? " bad" : data.unread || data.retries ? " mark" : "");
    return lazy(kind, [el("span", "", name), el("span", "number", data.model), marks], (box) => {
      box.append(bar(example.began, example.ended, data.spans));
      const sampling = Object.entries(data.sampling).filter(([, said]) => !Array.isArray(said) || said.length)
        .map(([n, said]) => `${n} = ${said}`);
      box.append(el("p", "role", [`engine ${data.engine}`, `seed ${data.seed}`, ...sampling].join(" · ")));
      texts(box, data.messages);
      if (data.prefix) put(box, el("p", "role", "the reply begins"), el("div", "text", data.prefix));
      for (const retry of data.failed_tries)
        put(box, el("p", "role", `failed try, ${seconds(retry.ended - retry.began)}`),
          el("div", "text bad", `${retry.code}: ${retry.message}`));
      data.replies.forEach((reply, i) => put(box,
        el("p", "role", `reply${data.replies.length > 1 ? ` ${i + 1}` : ""} · ${many(reply.tokens, "token")}` +
          (reply.finish && reply.finish !== "stop" ? ` · cut off (${reply.finish})` : "") +
          (data.unread ? " · could not be read" : "")),
        el("div", "text" + (data.unread ? " bad" : ""), reply.text)));
      if (data.probabilities.length)
        put(box, el("p", "role", "probabilities"), el("div", "text",
          data.probabilities.map((p, i) => `${data.choices[i] ?? i}: ${p}`).join("\n")));
      if (data.failure) box.append(el("div", "text bad", `${data.failure.code}: ${data.failure.message}`));
    });
  }

  function node(data, example) {
    const calls = data.calls || [], inside = data.inside || [];
    const tokens = calls.reduce((sum, c) => sum + c.usage.prompt + c.usage.generated, 0);
    const unread = calls.filter((c) => c.unread).length;
    const retries = calls.reduce((sum, c) => sum + c.retries, 0);
    const marks = tags(
      [data.error ? data.error.code : "", "bad"], [data.unfinished ? "not finished" : "", "bad"],
      [unread ? `${unread} unread` : "", "mark"], [retries ? `${retries} retried` : "", "mark"],
      [calls.length ? many(calls.length, "call") : ""], [tokens ? `${number(tokens)} tok` : ""],
      [inside.length ? many(inside.length, inside[0].name.split(" ")[0]) : ""],
      [data.error || data.unfinished ? "" : `gives ${briefly(data.value)}`],
      [data.at !== undefined && data.at - data.began >= 1e-4 ? seconds(data.at - data.began) : ""]);
    const source = data.source ? data.source.split("/").pop() : "";
    const kind = "node" + (data.error || data.unfinished ? " bad" : "");
    return lazy(kind, [el("b", "", data.label), el("span", "number", source), marks], (box) => {
      if (calls.length) box.append(bar(example.began, example.ended, calls.flatMap((c) => c.spans)));
      if (data.error) box.append(el("div", "text bad", `${data.error.code}: ${data.error.message}` +
        (data.error.help ? `\n${data.error.help}` : "")));
      for (const one of calls) box.append(call(one, example));
      for (const one of data.externs || []) {
        put(box, el("p", "role", `function ${one.target} · ${seconds(one.at - one.queued)}`),
          el("div", "text", Object.entries(one.arguments).map(([n, said]) => `${n} = ${said}`).join("\n")));
        if (one.gave !== null) put(box, el("p", "role", "gave"), el("div", "text", one.gave));
        if (one.outcome && one.outcome.code)
          box.append(el("div", "text bad", `${one.outcome.code}: ${one.outcome.message}`));
      }
      for (const part of inside)
        box.append(lazy("part", [el("span", "", part.name)], (nest) => {
          for (const one of part.nodes) nest.append(node(one, example));
        }, inside.length === 1));
      if (!data.error && !data.unfinished) { box.append(el("p", "role", "gives")); value(box, data.value); }
    }, Boolean(data.error));
  }

  function latest(nodes) {
    return nodes.reduce((most, n) => Math.max(most, n.at ?? n.began ?? 0, ...(n.calls || []).map((c) => c.at),
      latest((n.inside || []).flatMap((p) => p.nodes))), 0);
  }

  function details(box, data) {
    const example = { began: data.began, ended: data.ended ?? latest(data.nodes) };
    if (data.error) {
      box.append(el("h3", "", "failed"), el("div", "text bad", `${data.error.code}: ${data.error.message}` +
        (data.error.place ? `\nat ${data.error.place}` : "") + (data.error.help ? `\n${data.error.help}` : "")));
    } else if (data.answer !== null) box.append(el("h3", "", "answer"), el("div", "text", data.answer));
    else box.append(el("h3", "bad-word", "the run ended before this question did"));
    box.append(el("h3", "", "question"));
    texts(box, data.messages);
    box.append(el("h3", "", "nodes"));
    for (const one of data.nodes) box.append(node(one, example));
    const states = Object.entries(data.states);
    if (states.length) box.append(el("h3", "", "what it leaves to later questions"));
    for (const [name, said] of states) { box.append(el("p", "role", name)); value(box, said); }
  }

  function example(row, open) {
    const marks = tags([row.code, "bad"], [row.state === "cut off" ? row.state : "", "bad"],
      [row.unread ? `${row.unread} unread` : "", "mark"], [row.retries ? `${row.retries} retried` : "", "mark"],
      [row.stored ? `${row.stored} stored` : ""], [many(row.calls, "call")], [`${number(row.tokens)} tok`],
      [seconds(row.seconds)]);
    const label = el("span", "number", row.index + 1);
    if (row.id) label.title = `id ${row.id}`;
    const made = lazy(`example ${row.state.replace(" ", "")}`,
      [label, el("span", row.question ? "q" : "q none", row.question || "no question"), el("span", "a", row.answer || "—"), marks],
      async (box) => {
        const body = el("div", "body");
        box.append(body);
        if (row.chunk < 0) { body.append(el("p", "note", "Its details did not fit into the page.")); return; }
        try {
          details(body, (await chunk(row.chunk))[row.place]);
        } catch (error) {
          body.append(el("p", "note", `This browser cannot unpack the details: ${error}`));
        }
      }, open);
    made.id = `e${row.index}`;
    return made;
  }

  async function start() {
    let rows;
    try {
      rows = (await unpacked("rows")).map((cells) => Object.fromEntries(FIELDS.map((name, i) => [name, cells[i]])));
    } catch (error) {
      byId("list").append(el("p", "note", `This browser cannot unpack the page: ${error}`));
      return;
    }
    const inOrder = [...rows].sort((a, b) => a.index - b.index);
    const orders = { failures: rows, index: inOrder, seconds: [...rows].sort((a, b) => b.seconds - a.seconds),
      tokens: [...rows].sort((a, b) => b.tokens - a.tokens) };
    let found = rows, shown = 0;
    function more() {
      for (const row of found.slice(shown, shown + PAGE)) byId("list").append(example(row, false));
      shown = Math.min(shown + PAGE, found.length);
      byId("more").hidden = shown >= found.length;
      byId("count").textContent = found.length === rows.length ? many(rows.length, "question")
        : `${found.length} of ${many(rows.length, "question")}`;
    }
    function filter() {
      const words = byId("find").value.toLowerCase(), state = byId("state").value;
      found = orders[byId("order").value].filter((row) =>
        (!state || row.state === state || (state === "unread" && row.unread) || (state === "retried" && row.retries))
        && (!words || `${row.index + 1} ${row.id} ${row.question} ${row.answer} ${row.code}`.toLowerCase()
          .includes(words)));
      byId("list").replaceChildren();
      shown = 0;
      more();
    }
    function follow() {
      const asked = /^#e=(\d+)$/.exec(location.hash);
      const row = asked && rows.find((one) => one.index === Number(asked[1]));
      if (!row) return;
      let there = byId(`e${row.index}`);
      if (there) there.open = true;
      else { there = example(row, true); byId("list").prepend(there); }
      there.scrollIntoView();
    }
    byId("find").addEventListener("input", filter);
    byId("state").addEventListener("change", filter);
    byId("order").addEventListener("change", filter);
    byId("more").addEventListener("click", more);
    addEventListener("hashchange", follow);
    for (const box of document.querySelectorAll(".drawing")) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
    filter();
    follow();
  }
  start();
})();
