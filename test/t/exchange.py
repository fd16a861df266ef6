"""Scores rows of a CSV with a model that mlops exported, without mlops.

usage: exchange.py pmml MODEL CSV | exchange.py xgboost MODEL CSV LEVELS
Prints one number a row: the value, or the probability of the class "true".
The first evaluates the part of PMML 4.4 that mlops writes, from its
specification; the second is XGBoost itself (LEVELS: JSON of categories).
"""
import csv
import json
import math
import sys
import xml.etree.ElementTree as ET

N = "{http://www.dmg.org/PMML-4_4}"


def tag(e):
    return e.tag.replace(N, "")


def expression(e, row):
    kind = tag(e)
    if kind == "Constant":
        return float(e.text)
    if kind == "FieldRef":
        return row[e.get("field")]
    if kind == "MapValues":
        value = row[e.find(N + "FieldColumnPair").get("field")]
        if value is None:
            return float(e.get("mapMissingTo"))
        for r in e.find(N + "InlineTable"):
            if r.find(N + "in").text == value:
                return float(r.find(N + "out").text)
        return float(e.get("defaultValue"))
    assert kind == "Apply", kind
    args = list(e)
    f = e.get("function")
    if f == "if":
        return expression(args[1], row) if expression(args[0], row) else expression(args[2], row)
    values = [expression(a, row) for a in args]
    return {"isMissing": lambda x: x is None, "ln": lambda x: math.log(x),
            "*": lambda x, y: x * y, "-": lambda x, y: x - y}[f](*values)


def holds(p, row):
    kind = tag(p)
    if kind == "True":
        return True
    if kind == "CompoundPredicate":
        assert p.get("booleanOperator") == "or"
        return any(holds(q, row) for q in p)
    value = row[p.get("field")]
    if p.get("operator") == "isMissing":
        return value is None
    if value is None:
        return False
    if kind == "SimplePredicate":
        assert p.get("operator") == "lessThan"
        return value < float(p.get("value"))
    array = p.find(N + "Array").text or ""
    members = [m.replace('\\"', '"').replace("\\\\", "\\") for m in next(csv.reader([array.strip()], delimiter=" ", escapechar="\\"), [])]
    return (value in members) == (p.get("booleanOperator") == "isIn")


def score_node(node, row):
    children = node.findall(N + "Node")
    if not children:
        return float(node.get("score"))
    for child in children:
        if holds([c for c in child if tag(c) not in ("Node",)][0], row):
            return score_node(child, row)
    raise ValueError("no child")


def regression(m, row):
    row = dict(row)
    local = m.find(N + "LocalTransformations")
    for d in local if local is not None else []:
        row[d.get("name")] = expression(list(d)[0], row)
    etas = {}
    for table in m.findall(N + "RegressionTable"):
        eta = float(table.get("intercept"))
        for p in table.findall(N + "NumericPredictor"):
            eta += float(p.get("coefficient")) * row[p.get("name")]
        etas[table.get("targetCategory")] = eta
    link = m.get("normalizationMethod")
    if None in etas:
        return math.exp(etas[None]) if link == "exp" else etas[None]
    if link == "softmax":
        return {k: math.exp(v) / sum(map(math.exp, etas.values())) for k, v in etas.items()}
    if link == "none":
        return etas.get("true")
    first = next(iter(etas.values()))
    return 1 / (1 + math.exp(-first))


def mining(m, row):
    seg = m.find(N + "Segmentation")
    method = seg.get("multipleModelMethod")
    row = dict(row)
    values = []
    for s in seg.findall(N + "Segment"):
        model = [c for c in s if tag(c) != "True"][0]
        value = evaluate(model, row)
        output = model.find(N + "Output")
        if output is not None:
            row[output.find(N + "OutputField").get("name")] = value
        values.append(value)
    if method == "modelChain":
        return values[-1]
    return sum(values) / (len(values) if method == "average" else 1)


def cluster(m, row):
    z = [expression(list(d)[0], row) for d in m.find(N + "LocalTransformations")]
    best = None
    for c in m.findall(N + "Cluster"):
        centre = [float(x) for x in c.find(N + "Array").text.split()]
        d = sum((a - b) ** 2 for a, b in zip(z, centre))
        if best is None or d < best[0]:
            best = (d, int(c.get("id")))
    return best[1]


def evaluate(m, row):
    return {"RegressionModel": regression, "MiningModel": mining, "ClusteringModel": cluster,
            "TreeModel": lambda m, row: score_node(m.find(N + "Node"), row)}[tag(m)](m, row)


def pmml(path, rows):
    root = ET.parse(path).getroot()
    numbers = {f.get("name") for f in root.find(N + "DataDictionary") if f.get("optype") == "continuous"}
    model = [c for c in root if tag(c) not in ("Header", "DataDictionary")][0]
    for row in rows:
        row = {k: None if v == "" else float(v) if k in numbers else v for k, v in row.items()}
        value = evaluate(model, row)
        print(repr(value["true"] if isinstance(value, dict) and "true" in value else
                   next(iter(value.values())) if isinstance(value, dict) else value))


def xgboost(path, rows, levels):
    import numpy as np
    import pandas as pd
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(path)
    frame = pd.DataFrame(rows)
    columns = {}
    for name in booster.feature_names:
        if name in levels:
            columns[name] = pd.Categorical(frame[name].replace("", None), categories=levels[name])
        else:
            columns[name] = pd.to_numeric(frame[name]).astype(np.float32)
    for value in booster.predict(xgb.DMatrix(pd.DataFrame(columns), enable_categorical=True)):
        print(repr(float(value[0] if hasattr(value, "__len__") else value)))


with open(sys.argv[3], newline="") as f:
    rows = list(csv.DictReader(f))
if sys.argv[1] == "pmml":
    pmml(sys.argv[2], rows)
else:
    xgboost(sys.argv[2], rows, json.loads(sys.argv[4]))
