"""Speaks pellmell's lines of JSON for a service in Python: serve(service), an object with a method for each input."""
import json
import sys

out, sys.stdout = sys.stdout, sys.stderr  # stdout has lines of the protocol alone

class Answer(Exception):
    """nak(…) or refused(…), to be raised."""
def nak(reason, delay_ms=None): return Answer({"nak": {"reason": reason, "delay_ms": delay_ms}})
def refused(status, reason): return Answer({"refused": {"status": status, "reason": reason}})
class Conflict(Exception):
    """A save found another version, or none."""

def write(line):
    out.write(json.dumps(line) + "\n")
    out.flush()
def ask(line):
    write(line)
    return json.loads(sys.stdin.readline())
def save(how, **line):
    reply = ask({how: line})
    if "conflict" in reply:
        raise Conflict(f"conflict: found {reply['conflict']}")
    return reply["version"]

class Context:
    def find(self, record): return ask({"find": record})["found"]
    def all(self, kind): return ask({"all": kind})["all"]
    def insert(self, record, value, version=None): return save("insert", record=record, value=value, version=version)
    def update(self, record, value, expected, version=None):
        return save("update", record=record, value=value, expected=expected, version=version)
    def overwrite(self, record, value, version=None): return save("overwrite", record=record, value=value, version=version)
    def remove(self, record, expected=None): return save("remove", record=record, expected=expected)
    def __getattr__(self, what):  # saved, removed, publish, arm, call_off, outside: what the line has, by name
        return lambda **line: write({what: line})

def serve(service):
    for line in sys.stdin:
        [(what, told)] = json.loads(line).items()
        try:
            if what == "hello":
                write({"ready": {"protocol": 1, "keeps": service.keeps, "resets": hasattr(service, "reset")}})
                continue
            answer = getattr(service, what)(told, Context())
            write({"snapshot": answer} if what == "snapshot" else {"done": True})
        except Answer as answer:
            write(answer.args[0])
        except Exception as error:
            write({"failed": repr(error)})
