"""scikit-learn's metrics of the rows of CSV files, by name.

usage: metrics.py FILE...    (named KIND_NUMBER.csv)
scores:  score,label,weight             label 0 or 1
numbers: prediction,label,weight        labels positive, predictions too
classes: label,p1,...,pk,weight         label from 1 on, probabilities without ties
points:  cluster,x1,...,xk
Prints the file's name, the metric and its value, a line each.
"""
import os
import sys

import numpy as np
from sklearn import metrics as m


def show(name, value):
    print(table, name, repr(float(value)))


def calibration_error(p, outcome, w):
    bins = np.minimum((p * 10).astype(int), 9)
    parts = [abs(np.sum(w[bins == b] * (p - outcome)[bins == b])) for b in range(10)]
    return sum(parts) / w.sum()


def scores(rows):
    s, y, w = rows.T
    y = y.astype(int)
    said = (s >= 0.5).astype(int)
    kw = {"sample_weight": w}
    show("accuracy", m.accuracy_score(y, said, **kw))
    show("balanced_accuracy", m.balanced_accuracy_score(y, said, **kw))
    show("precision", m.precision_score(y, said, **kw))
    show("recall", m.recall_score(y, said, **kw))
    show("f1", m.f1_score(y, said, **kw))
    show("specificity", m.recall_score(y, said, pos_label=0, **kw))
    show("mcc", m.matthews_corrcoef(y, said, **kw))
    show("log_loss", m.log_loss(y, s, eps=1e-15, **kw))
    show("brier", m.brier_score_loss(y, s, **kw))
    show("roc_auc", m.roc_auc_score(y, s, **kw))
    show("pr_auc", m.average_precision_score(y, s, **kw))
    fpr, tpr, _ = m.roc_curve(y, s, drop_intermediate=False, **kw)
    show("ks", np.max(np.abs(tpr - fpr)))
    show("expected_calibration_error", calibration_error(s, y, w))


def numbers(rows):
    p, y, w = rows.T
    kw = {"sample_weight": w}
    show("rmse", m.mean_squared_error(y, p, squared=False, **kw))
    show("mae", m.mean_absolute_error(y, p, **kw))
    show("median_absolute_error", m.median_absolute_error(y, p, **kw))
    show("mape", m.mean_absolute_percentage_error(y, p, **kw))
    show("smape", np.average(2 * np.abs(y - p) / (np.abs(y) + np.abs(p)), weights=w))
    show("r2", m.r2_score(y, p, **kw))
    show("explained_variance", m.explained_variance_score(y, p, **kw))
    show("max_error", m.max_error(y, p))
    show("poisson_deviance", m.mean_poisson_deviance(y, p, **kw))
    show("gamma_deviance", m.mean_gamma_deviance(y, p, **kw))
    show("pinball", m.mean_pinball_loss(y, p, alpha=0.9, **kw))


def classes(rows):
    y, p, w = rows[:, 0].astype(int), rows[:, 1:-1], rows[:, -1]
    k = p.shape[1]
    said = np.argmax(p, axis=1) + 1
    labels = np.arange(1, k + 1)
    kw = {"sample_weight": w}
    show("accuracy", m.accuracy_score(y, said, **kw))
    show("balanced_accuracy", m.balanced_accuracy_score(y, said, **kw))
    show("mcc", m.matthews_corrcoef(y, said, **kw))
    for average in "macro", "micro":
        show(average + "_precision", m.precision_score(y, said, average=average, zero_division=0, **kw))
        show(average + "_recall", m.recall_score(y, said, average=average, zero_division=0, **kw))
        show(average + "_f1", m.f1_score(y, said, average=average, zero_division=0, **kw))
    show("precision", m.precision_score(y, said, labels=[2], average="macro", zero_division=0, **kw))
    show("recall", m.recall_score(y, said, labels=[2], average="macro", zero_division=0, **kw))
    show("log_loss", m.log_loss(y, p, eps=1e-15, labels=labels, **kw))
    show("brier", np.average(np.sum((p - np.eye(k)[y - 1]) ** 2, axis=1) / 2, weights=w))
    show("top_k_accuracy", m.top_k_accuracy_score(y, p, k=2, labels=labels, **kw))
    show("expected_calibration_error", calibration_error(p.max(axis=1), (said == y).astype(float), w))


def points(rows):
    c, x = rows[:, 0].astype(int), rows[:, 1:]
    show("silhouette", m.silhouette_score(x, c))
    inside = [((x[c == k] - x[c == k].mean(axis=0)) ** 2).sum() for k in np.unique(c)]
    show("inertia", sum(inside) / len(x))


for path in sys.argv[1:]:
    table = os.path.basename(path).removesuffix(".csv")
    globals()[table.split("_")[0]](np.genfromtxt(path, delimiter=",", skip_header=1))
