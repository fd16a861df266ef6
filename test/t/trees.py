"""scikit-learn's mean score over the folds of a CSV with a random
forest on ordinal codes.

usage: trees.py FILE TARGET POSITIVE SEEDS    (POSITIVE empty: regression)
The CSV has a header and a column fold; prints one score a fold and seed.
"""
import itertools
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # threads that spin are slow on a busy machine

import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import r2_score, roc_auc_score

path, target, positive, seeds = sys.argv[1:5]
rows = pd.read_csv(path)
fold = rows.pop("fold")
y = rows.pop(target)
if positive:
    y = (y.astype(str) == positive).astype(int)
for c in rows:
    if rows[c].dtype == object:
        rows[c] = rows[c].fillna("(null)").astype("category").cat.codes


def model_of(seed):
    if positive:
        return RandomForestClassifier(100, max_depth=16, random_state=seed)
    return RandomForestRegressor(100, max_depth=16, max_features=1 / 3, random_state=seed)


rows = rows.fillna(rows.median())
for seed, k in itertools.product(range(1, int(seeds) + 1), sorted(fold.unique())):
    train, test = fold != k, fold == k
    model = model_of(seed)
    model.fit(rows[train], y[train])
    if positive:
        print(repr(roc_auc_score(y[test], model.predict_proba(rows[test])[:, 1])))
    else:
        print(repr(r2_score(y[test], model.predict(rows[test]))))
