"""Writes events.tfevents with TensorBoard's own record writer: python events.py, in an environment with tensorboard."""
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

with open("events.tfevents", "wb") as file:
    out = RecordWriter(file)
    out.write(Event(file_version="brain.Event:2").SerializeToString())
    for step, (seconds, loss, norm, lr) in ((1, (0.5, 0.75, 12.5, 1e-3)), (300, (1e6, 1e-9, 3.25, 0.0))):
        values = [Summary.Value(tag=t, simple_value=v) for t, v in (("loss", loss), ("grad_norm", norm), ("lr", lr))]
        out.write(Event(wall_time=seconds, step=step, summary=Summary(value=values)).SerializeToString())
