"""scikit-learn's scores over the folds of a CSV, as mean over the folds.

linear: logistic regression (C = 1) or ridge (alpha = 1); numbers imputed by the
median and standardised, texts one-hot with NULL as a level of its own.
boosting: histogram gradient boosting with its defaults, categories native.

usage: folds.py FILE TARGET KIND FOLDS LEARNER...    (KIND: number, binary: t and f, classes)
The CSV has a header and a column fold, of which the first FOLDS are tested;
prints {"linear": {metric: mean}, "boosting": ...}.
"""
import json
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # threads that spin are slow on a busy machine

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

path, target, kind, folds = sys.argv[1:5]
learners = sys.argv[5:]
rows = pd.read_csv(path)
fold = rows.pop("fold")
y = rows.pop(target)
if kind == "binary":
    y = (y == "t").astype(int)
texts = [c for c in rows if rows[c].dtype == object]
numbers = [c for c in rows if c not in texts]
rows[texts] = rows[texts].fillna("(null)")


def learner(name):
    if name == "linear":
        columns = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), texts),
        )
        last = Ridge(alpha=1.0) if kind == "number" else LogisticRegression(C=1.0, max_iter=2000)
    else:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        columns = make_column_transformer((codes, texts), ("passthrough", numbers))
        boosting = HistGradientBoostingRegressor if kind == "number" else HistGradientBoostingClassifier
        last = boosting(categorical_features=list(range(len(texts))) or None, random_state=0)
    return make_pipeline(columns, last)


def measure(model, x, y):
    if kind == "number":
        return {"r_squared": r2_score(y, model.predict(x))}
    p = model.predict_proba(x)
    if kind == "binary":
        return {"auc": roc_auc_score(y, p[:, 1])}
    return {
        "auc": roc_auc_score(y, p, multi_class="ovr", labels=model.classes_),
        "log_loss": log_loss(y, p, labels=model.classes_),
        "accuracy": accuracy_score(y, model.predict(x)),
    }


scores = {}
for name in learners:
    of_folds = []
    for k in range(int(folds)):
        model = learner(name).fit(rows[fold != k], y[fold != k])
        of_folds.append(measure(model, rows[fold == k], y[fold == k]))
    scores[name] = pd.DataFrame(of_folds).mean().to_dict()
print(json.dumps(scores))
