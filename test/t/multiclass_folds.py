"""scikit-learn's multinomial logistic regression over the folds of a CSV: numbers
imputed by the mean and standardised, texts one-hot with NULL as a level of its
own, C = 1.

usage: multiclass_folds.py FILE TARGET
The CSV has a header and a column fold; prints mean log-loss and accuracy.
"""
import sys

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

path, target = sys.argv[1:3]
rows = pd.read_csv(path)
fold = rows.pop("fold")
y = rows.pop(target).astype(str)
texts = [c for c in rows if rows[c].dtype == object]
numbers = [c for c in rows if c not in texts]
rows[texts] = rows[texts].fillna("(null)")
losses, accuracies = [], []
for k in sorted(fold.unique()):
    train, test = fold != k, fold == k
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), texts),
        ),
        LogisticRegression(C=1.0, max_iter=2000),
    )
    model.fit(rows[train], y[train])
    losses.append(log_loss(y[test], model.predict_proba(rows[test]), labels=model.classes_))
    accuracies.append(accuracy_score(y[test], model.predict(rows[test])))
print(np.mean(losses), np.mean(accuracies))
