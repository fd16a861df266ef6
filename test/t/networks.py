"""scikit-learn's networks over the five folds of a CSV of numbers: mean R squared.

usage: networks.py FILE TARGET SEEDS
The CSV has a header and a column fold. One hidden layer of 64, early stopping
by a tenth of the rows, inputs and target standardised: what mlp does.
"""
import csv
import os
import sys
import warnings

os.environ["OMP_NUM_THREADS"] = "1"  # threads that spin are slow on a busy machine
warnings.filterwarnings("ignore")

import numpy as np
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

path, target, seeds = sys.argv[1:4]
with open(path) as file:
    rows = list(csv.DictReader(file))
fold = np.array([int(r.pop("fold")) for r in rows])
y = np.array([float(r.pop(target)) for r in rows])
x = np.array([[float(v) for v in r.values()] for r in rows])

scores = []
for seed in range(int(seeds)):
    for k in range(5):
        learned = fold != k
        scale = StandardScaler().fit(x[learned])
        mean, deviation = y[learned].mean(), y[learned].std()
        net = MLPRegressor([64], early_stopping=True, max_iter=500, random_state=seed)
        net.fit(scale.transform(x[learned]), (y[learned] - mean) / deviation)
        scores.append(r2_score(y[~learned], net.predict(scale.transform(x[~learned])) * deviation + mean))
print(np.mean(scores))
