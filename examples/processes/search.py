"""Keeps a copy of each item in a file of its own, and takes the change that follows the one it has."""
import json
import os

from pellmell import serve

FILE = os.path.join(os.environ["PELLMELL_FOLDER"], "items.json")


class Search:
    keeps = "own"

    def __init__(self):
        self.items = {}
        if os.path.exists(FILE):
            with open(FILE) as file:
                self.items = json.load(file)

    def delivery(self, told, ctx):
        item = told["body"]
        held = self.items.get(item["id"])
        if held and held["version"] >= item["version"]:
            return  # it came before
        if item["version"] != (held["version"] + 1 if held else 0):
            raise ValueError("a change before it is missing")
        self.items[item["id"]] = {"price": item["price"], "version": item["version"]}
        with open(FILE, "w") as file:
            json.dump(self.items, file)
        ctx.saved(record=item["id"], version=item["version"], value={"price": item["price"]})

    def reset(self, told, ctx):
        self.items = {}


serve(Search())
