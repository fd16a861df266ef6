"""Measures the learners against scikit-learn and XGBoost on the same rows.

Ours is a whole CALL mlops_train: from the table to a stored version, measured on
the hold-out. Theirs is COPY BINARY of the table into numpy and the fit; what
they are measured with is not counted. Both learn from the first 80 % of the
rows by id and are judged by the rest. The two are run alternately and each pair
gives a ratio; the median of the ratios is what counts.
"""
import statistics
import time
import traceback

import numpy
import xgboost
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.naive_bayes import CategoricalNB, GaussianNB
from sklearn.preprocessing import StandardScaler

from measure import ROWS, RUNS, connect, make_table, note, peak_mb, print_table, pull, push, run, seconds, shown

CORES = 2
NUMBERS = {"numbers": ["f%d" % i for i in range(1, 29)], "mixed": ["n%d" % i for i in range(1, 13)]}
CATEGORIES = {"numbers": [], "mixed": ["c%d" % i for i in range(1, 7)]}
TABLES = {"numbers": "t", "mixed": "mixed"}

compared = []					# rows of the first table
grown = []						# of the second
failed = []						# what raised an error


class Rows:
    """Some rows of a table: numbers, codes of the categories, both targets."""

    def __init__(self, numbers, codes, levels, y, label):
        self.numbers, self.codes, self.levels, self.y, self.label = numbers, codes, levels, y, label

    def part(self, piece):
        return Rows(self.numbers[piece], self.codes[piece], self.levels, self.y[piece], self.label[piece])

    def matrix(self, kind=numpy.float64):
        """Numbers, then codes, as trees want them."""
        return numpy.hstack([self.numbers, self.codes]).astype(kind, copy=False) if self.levels \
            else self.numbers.astype(kind, copy=False)

    def one_hot(self, first=0):
        """Numbers, then a column of 0 and 1 for each level from `first` on."""
        if not self.levels:
            return self.numbers
        count, width = self.numbers.shape
        design = numpy.zeros((count, width + sum(levels - first for levels in self.levels)))
        design[:, :width] = self.numbers
        for codes, levels in zip(self.codes.T, self.levels):
            row = numpy.flatnonzero(codes >= first)
            design[row, width + codes[row] - first] = 1
            width += levels - first
        return design


def encode(strings):
    """Strings of 8 bytes as codes, and the number of levels; a sample usually has seen them all."""
    words = numpy.ascontiguousarray(strings).view(numpy.int64)
    for step in (100, 1):
        levels = numpy.unique(words[::step])
        codes = numpy.minimum(numpy.searchsorted(levels, words), len(levels) - 1)
        if (levels[codes] == words).all():
            break
    return codes, len(levels)


def pull_rows(kind):
    numbers, categories = NUMBERS[kind], CATEGORIES[kind]
    # strings of one length, so that numpy can read them in place
    columns = numbers + ["rpad(%s, 8)" % name for name in categories] + ["y", "label::integer::float8"]
    table = pull("SELECT %s FROM %s" % (", ".join(columns), TABLES[kind]),
                 [">f8"] * len(numbers) + ["S8"] * len(categories) + [">f8", ">f8"])
    matrix = numpy.empty((len(table), len(numbers)))
    for i in range(len(numbers)):
        matrix[:, i] = table["c%d" % i]["value"]
    codes = numpy.empty((len(table), len(categories)), dtype=numpy.int64)
    levels = []
    for i in range(len(categories)):
        codes[:, i], count = encode(table["c%d" % (len(numbers) + i)]["value"])
        levels.append(count)
    y, label = (table["c%d" % (len(numbers) + len(categories) + i)]["value"].astype(float) for i in range(2))
    return Rows(matrix, codes, levels, y, label)


# ---- theirs: each fits, and returns a function that measures on held-out rows ----

def fit_linear(rows, facts):
    model = LinearRegression().fit(rows.one_hot(first=1), rows.y)
    return lambda held: r2_score(held.y, model.predict(held.one_hot(first=1)))


def fit_logistic(rows, facts):
    model = LogisticRegression().fit(rows.one_hot(), rows.label)
    return lambda held: roc_auc_score(held.label, model.predict_proba(held.one_hot())[:, 1])


def fit_bayes(rows, facts):
    normal = GaussianNB().fit(rows.numbers, rows.label)
    shares = CategoricalNB(min_categories=rows.levels).fit(rows.codes, rows.label) if rows.levels else None

    def measure(held):
        score = normal.predict_joint_log_proba(held.numbers)
        if shares:
            score = score + shares.predict_joint_log_proba(held.codes) - shares.class_log_prior_
        return roc_auc_score(held.label, score[:, 1] - score[:, 0])

    return measure


def fit_pca(rows, facts):
    model = PCA(10).fit(StandardScaler(copy=not rows.levels).fit_transform(rows.one_hot()))
    return lambda held: model.explained_variance_ratio_.sum()


def fit_kmeans(rows, facts):
    scaler = StandardScaler(copy=not rows.levels)
    model = KMeans(8, n_init=1, max_iter=facts["iterations"], tol=0, algorithm="lloyd", random_state=1)
    model.fit(scaler.fit_transform(rows.one_hot()))
    if model.n_iter_ != facts["iterations"]:
        note("  scikit-learn stopped after %d iterations, mlops after %d" % (model.n_iter_, facts["iterations"]))
    return lambda held: -model.score(scaler.transform(held.one_hot())) / len(held.y)


def as_dmatrix(rows, label=None):
    kinds = ["q"] * rows.numbers.shape[1] + ["c"] * len(rows.levels)
    return xgboost.DMatrix(rows.matrix(numpy.float32), label, feature_types=kinds, enable_categorical=True, nthread=CORES)


def fit_boosting(rows, facts):
    model = xgboost.train({"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6, "eta": 0.1, "nthread": CORES},
                          as_dmatrix(rows, rows.label), 100)
    return lambda held: roc_auc_score(held.label, model.predict(as_dmatrix(held)))


def fit_forest(rows, facts):
    model = RandomForestClassifier(50, max_depth=12, n_jobs=CORES, random_state=1).fit(rows.matrix(numpy.float32), rows.label)
    return lambda held: roc_auc_score(held.label, model.predict_proba(held.matrix(numpy.float32))[:, 1])


# ---- both sides ----

class Learner:
    """One algorithm: how ours is called, how theirs is fitted, what is wanted, and how often it is run."""

    def __init__(self, algorithm, target, params, quality, fit, goal, runs, warm=1):
        self.algorithm, self.target, self.params, self.quality = algorithm, target, params, quality
        self.fit, self.goal = fit, goal
        self.runs, self.warm = RUNS or runs, warm

    def train(self, connection, kind, table):
        """The seconds of a CALL."""
        target = "target => '%s', " % self.target if self.target else ""
        others = [name for name in ("y", "label") if name != self.target]
        sql = ("CALL mlops_train('%s', '%s', %salgorithm => '%s', params => '%s', exclude => '{%s}', time_column => 'id')"
               % (self.model(kind), table, target, self.algorithm, self.params, ",".join(others)))
        del connection.notices[:]
        took = seconds(lambda: run(connection, sql))
        for notice in connection.notices:
            if "version " not in notice and "still moved" not in notice:		# what it says, and what is asked for
                note("  " + notice.strip())
        return took

    def model(self, kind):
        return self.algorithm + "_" + kind

    def stored(self, connection, kind):
        """The facts of the newest version, and its metric on the held-out rows."""
        facts, metrics = run(connection, "SELECT facts, holdout_metrics FROM mlops.version WHERE model = '%s' "
                                         "ORDER BY version DESC LIMIT 1" % self.model(kind))[0]
        return facts, facts[self.quality] if self.quality == "explained_variance" else metrics[self.quality]


LEARNERS = {
    "boosting": Learner("gradient_boosting", "label", '{"trees": 100, "max_depth": 6}', "roc_auc", fit_boosting, 1.0, 3),
    "forest": Learner("random_forest", "label", '{"trees": 50, "max_depth": 12}', "roc_auc", fit_forest, 0.2, 2, warm=0),
    "bayes": Learner("naive_bayes", "label", '{}', "roc_auc", fit_bayes, 0.4, 5),
    "pca": Learner("pca", None, '{"components": 10}', "explained_variance", fit_pca, 0.4, 5),
    "kmeans": Learner("kmeans", None, '{"k": 8, "max_iterations": 20, "tolerance": 0}', "inertia", fit_kmeans, 0.7, 5),
    "linear": Learner("linear_regression", "y", '{}', "r2", fit_linear, 0.4, 5),
    "logistic": Learner("logistic_regression", "label", '{}', "roc_auc", fit_logistic, 0.4, 5),
}


def open_session():
    """A session that may train on all of the rows, on all of the cores."""
    connection = connect()
    run(connection, "SET max_parallel_maintenance_workers = %d" % (CORES - 1))
    run(connection, "SET mlops.max_training_memory = '8GB'")
    return connection


def close_session(connection):
    peak = peak_mb(connection)
    connection.close()
    return "%.0f MB" % peak


def read_once(connection, table):
    run(connection, "SELECT count(t) FROM %s AS t" % table)


def add(what, ours, theirs, goal, good=True, quality="", memory=""):
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    reached = "" if goal is None else "yes" if ratio <= goal and good else "no"
    compared.append((what, shown(statistics.median(ours)), shown(statistics.median(theirs)), "%.2f" % ratio,
                     "" if goal is None else "<= %.1f" % goal, reached, quality, memory))
    note("| " + " | ".join(compared[-1]) + " |")


def bench_learner(part, kind):
    learner = LEARNERS[part]
    make_table(kind, TABLES[kind], ROWS)
    connection = open_session()
    read_once(connection, TABLES[kind])
    ours, theirs, fits = [], [], []
    for turn in range(learner.runs + learner.warm):
        inside = learner.train(connection, kind, TABLES[kind])
        facts, quality = learner.stored(connection, kind)
        start = time.perf_counter()
        rows = pull_rows(kind)
        last = len(rows.y) * 4 // 5
        began = time.perf_counter()
        measure = learner.fit(rows.part(slice(None, last)), facts)
        ended = time.perf_counter()
        note("%s on %s, run %d: %s; COPY %s, fit %s" % (learner.algorithm, kind, turn, shown(inside),
                                                       shown(began - start), shown(ended - began)))
        if turn >= learner.warm:
            ours.append(inside)
            theirs.append(ended - start)
            fits.append(ended - began)
    other = measure(rows.part(slice(last, None)))
    note("  %s: mlops %.4f, the other %.4f" % (learner.quality, quality, other))
    who = "XGBoost" if part == "boosting" else "scikit-learn"
    add("`%s`, %s; %s" % (learner.algorithm, kind, who), ours, theirs, learner.goal,
        good=part != "boosting" or quality >= other - 0.002,
        quality="%s %.4f / %.4f" % (learner.quality, quality, other), memory=close_session(connection))
    if part == "boosting":
        add("the same; XGBoost's fit alone", ours, fits, None)


# ---- scoring ----

def score_outside(kind, model):
    run_once = connect()
    run(run_once, "DROP TABLE IF EXISTS outside; CREATE UNLOGGED TABLE outside (id integer, score float8)")
    rows = pull_rows(kind)
    ids = numpy.arange(1, len(rows.y) + 1, dtype=">i4")
    push("outside", [ids, model.predict(as_dmatrix(rows)).astype(">f8")])
    run_once.close()


def bench_scoring(kind):
    """All rows of a table through the model of 100 trees, into a table of scores."""
    learner, table = LEARNERS["boosting"], TABLES[kind]
    make_table(kind, table, ROWS)
    connection = open_session()
    learner.train(connection, kind, table)
    name = "%s/%d" % (learner.model(kind),
                      run(connection, "SELECT max(version) FROM mlops.version WHERE model = '%s'" % learner.model(kind))[0][0])
    connection.close()
    rows = pull_rows(kind)
    last = len(rows.y) * 4 // 5
    train = rows.part(slice(None, last))
    model = xgboost.train({"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6, "eta": 0.1, "nthread": CORES},
                          as_dmatrix(train, train.label), 100)
    del rows, train

    sessions = [connect(), connect()]
    for workers, session in enumerate(sessions):
        run(session, "SET max_parallel_workers_per_gather = %d" % workers)
        run(session, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
    create = "CREATE UNLOGGED TABLE inside AS SELECT id, mlops_predict('%s', s) AS score FROM %s AS s" % (name, table)
    run(sessions[1], "DROP TABLE IF EXISTS inside")
    plan = "\n".join(row[0] for row in run(sessions[1], "EXPLAIN " + create))
    if "Gather" not in plan:
        note("  no parallel plan:\n" + plan)

    times = [[], [], []]
    for turn in range((RUNS or 5) + 1):
        for i, session in enumerate(sessions):
            times[i].append(seconds(lambda: run(session, "DROP TABLE IF EXISTS inside; " + create)))
        times[2].append(seconds(lambda: score_outside(kind, model)))
        note("scoring %s, run %d: %s" % (kind, turn, ", ".join(shown(t[-1]) for t in times)))
    alone, helped, theirs = (t[1:] for t in times)
    check = run(connect(), "SELECT count(*), corr(i.score, o.score) FROM inside i JOIN outside o USING (id)")[0]
    if check[0] != ROWS or check[1] < 0.9:
        raise RuntimeError("the scores do not belong together: %d rows, correlation %r" % check)
    add("scoring %s with 100 trees, two processes; XGBoost with COPY out and back" % kind, helped, theirs, 1.0,
        quality="correlation %.3f" % check[1], memory=close_session(sessions[1]))
    add("the same, one process", alone, theirs, 1.0, memory=close_session(sessions[0]))


# ---- growth ----

def bench_growth(part):
    """Four times the rows: how much more time, and how much memory."""
    learner = LEARNERS[part]
    make_table("numbers", "t", ROWS)
    make_table("numbers", "t4", 4 * ROWS)
    sessions = [open_session(), open_session()]
    tables = ["t", "t4"]
    for session, table in zip(sessions, tables):
        read_once(session, table)
    times = [[], []]
    warm = 0 if part in ("boosting", "forest") else 1
    for turn in range((RUNS or 2 + warm) + warm):
        for i in range(2):
            times[i].append(learner.train(sessions[i], ("numbers", "growth")[i], tables[i]))
        note("growth of %s, run %d: %s" % (learner.algorithm, turn, ", ".join(shown(t[-1]) for t in times)))
    times = [t[warm:] for t in times]
    ratio = statistics.median(b / a for a, b in zip(*times))
    grown.append(("`%s`" % learner.algorithm, shown(statistics.median(times[0])), shown(statistics.median(times[1])),
                  "%.2f" % ratio, "<= 4.4", "yes" if ratio <= 4.4 else "no",
                  close_session(sessions[0]), close_session(sessions[1])))
    note("| " + " | ".join(grown[-1]) + " |")


def attempt(what, action):
    """One that fails is reported and does not keep the others from being measured."""
    try:
        action()
    except Exception:
        traceback.print_exc()
        failed.append(what)


def bench(parts):
    for part in parts:
        for kind in ("numbers", "mixed"):
            if part == "scoring":
                attempt(part + " " + kind, lambda: bench_scoring(kind))
            elif part != "growth":
                attempt(part + " " + kind, lambda: bench_learner(part, kind))
    if "growth" in parts:
        for part in LEARNERS:
            attempt("growth of " + part, lambda: bench_growth(part))


def report():
    if compared:
        print_table(("<what; the other", "mlops", "the other", "ratio", "goal", "<met", "<quality, mlops / other", "peak memory"),
                    compared)
    if compared and grown:
        print()
    if grown:
        sizes = [format(ROWS, ","), format(4 * ROWS, ",")]
        print_table(("<growth", sizes[0] + " rows", sizes[1] + " rows", "ratio", "goal", "<met",
                     "peak memory", "peak memory, " + sizes[1]), grown)
