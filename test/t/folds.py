"""scikit-learn's mean score over the folds of a CSV, as docs of the reference
scores say: numbers imputed by the median and standardised, texts one-hot with
NULL as a level of its own; logistic regression (C = 1) or ridge (alpha = 1).

usage: folds.py FILE TARGET POSITIVE    (POSITIVE empty: regression)
The CSV has a header and a column fold; prints one score a fold.
"""
import sys

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

path, target, positive = sys.argv[1:4]
rows = pd.read_csv(path)
fold = rows.pop("fold")
y = rows.pop(target)
if positive:
    y = (y.astype(str) == positive).astype(int)
texts = [c for c in rows if rows[c].dtype == object]
numbers = [c for c in rows if c not in texts]
rows[texts] = rows[texts].fillna("(null)")
for k in sorted(fold.unique()):
    train, test = fold != k, fold == k
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), texts),
        ),
        LogisticRegression(C=1.0, max_iter=1000) if positive else Ridge(alpha=1.0),
    )
    model.fit(rows[train], y[train])
    if positive:
        print(repr(roc_auc_score(y[test], model.predict_proba(rows[test])[:, 1])))
    else:
        print(repr(r2_score(y[test], model.predict(rows[test]))))
