"""Keeps a copy of each item in a state of its own. Its arguments say where, and what is wrong with it."""
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shims"))
from pellmell import serve  # noqa: E402

FILE = os.path.join(os.environ["PELLMELL_FOLDER"], "items.json")


class Search:
    keeps = "snapshot" if "snapshot" in sys.argv else "own"

    def __init__(self):
        self.items = json.load(open(FILE)) if os.path.exists(FILE) else {}
        self.seen = []

    def delivery(self, told, ctx):
        item, key = told["body"], told["body"]["id"]
        if "in-memory" in sys.argv:
            # Right until the process crashes.
            if [key, item["version"]] in self.seen:
                return
            self.seen.append([key, item["version"]])
            ctx.outside(name="mail", record=key)
        held = self.items.get(key)
        if "careless" not in sys.argv and "in-memory" not in sys.argv:
            if held and held["version"] >= item["version"]:
                return
            if item["version"] != (held["version"] + 1 if held else 0):
                raise ValueError("a version is missing")
        self.items[key] = {"price": item["price"], "version": item["version"]}
        if "random" in sys.argv:
            self.items[key]["price"] = random.SystemRandom().randrange(1000)
        if "clock" in sys.argv:
            self.items[key]["price"] = time.time_ns() % 1000
        if "snapshot" not in sys.argv:
            with open(FILE, "w") as file:
                json.dump(self.items, file)
        ctx.saved(record=key, version=item["version"], value={"price": self.items[key]["price"]})

    def snapshot(self, told, ctx):
        return self.items

    def restore(self, told, ctx):
        self.items, self.seen = told, []


if "resets" in sys.argv:
    Search.reset = lambda self, told, ctx: self.__init__()

serve(Search())
