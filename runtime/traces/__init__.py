"""What happened in a run, call by call: recorded, written to a file, read again, sent to OpenTelemetry."""

from pnyx.runtime.traces.events import Sink
from pnyx.runtime.traces.reader import TraceError, TraceReader
from pnyx.runtime.traces.recorder import Trace
from pnyx.runtime.traces.writer import TraceFile

__all__ = ["Sink", "Trace", "TraceError", "TraceFile", "TraceReader"]
