#!/usr/bin/python3
"""Measures what docs/benchmarks.md promises and prints it as markdown tables.

Two ways of doing the same thing are always run alternately in one session (A B
A B ...), and medians are compared, so that a busy machine disturbs both alike.
ONLY names the parts to run (all of them else), ROWS and RUNS their size.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import sklearn
import xgboost
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score

import judge
import learners
import metrics
import shadow
import validate
from measure import ROWS, RUNS as ASKED_RUNS, connect, machine, make_table, note, print_table, pull, run, seconds

RUNS = ASKED_RUNS or 7
FEATURES = ["f%d" % i for i in range(1, 29)]
OWN = ["core", "judge", "metrics", "validate", "log", "shadow", "statistics"]	# parts that are rows of the first table
PARTS = ["core", "judge"] + list(learners.LEARNERS)[:2] + ["scoring"] + list(learners.LEARNERS)[2:] + ["growth", "metrics", "validate", "log", "shadow", "statistics"]
GROUPS = {"trees": ["boosting", "forest", "scoring"], "learners": [p for p in PARTS if p not in OWN], "all": PARTS}
rows = []						# of the table: what, ours, theirs, relation, goal, reached


def interleaved(actions, runs=RUNS, warm=1):
    """Runs every action in turn, again and again; returns the median seconds of each."""
    times = [[] for _ in actions]
    for turn in range(runs + warm):
        for i, action in enumerate(actions):
            took = seconds(action)
            if turn >= warm:
                times[i].append(took)
    return [statistics.median(t) for t in times]


def milliseconds(value):
    return "%.0f ms" % (1000 * value) if value >= 0.1 else "%.2f ms" % (1000 * value)


def add_ratio(what, ours, theirs, goal, shown=milliseconds, at_least=False):
    ratio = ours / theirs
    reached = ratio >= goal if at_least else ratio <= goal
    rows.append((what, shown(ours), shown(theirs), "%.2f x" % ratio,
                 "%s %.2f x" % (">=" if at_least else "<=", goal), "yes" if reached else "no"))


# ---- training ----

def train_outside(target, make, metric):
    """From table to fitted and measured, with scikit-learn; returns seconds of everything and of the fit alone."""
    start = time.perf_counter()
    columns = FEATURES + ([target] if target == "y" else ["label::int::float8"])
    table = pull("SELECT %s FROM t" % ", ".join(columns), [">f8"] * len(columns))
    matrix = numpy.empty((len(table), len(columns)))
    for i in range(len(columns)):
        matrix[:, i] = table["c%d" % i]["value"]
    last = len(matrix) * 4 // 5
    x, y = matrix[:, :-1], matrix[:, -1]
    began = time.perf_counter()
    model = make().fit(x[:last], y[:last])
    fitted = time.perf_counter()
    score = r2_score(y[last:], model.predict(x[last:])) if target == "y" else \
        roc_auc_score(y[last:], model.predict_proba(x[last:])[:, 1])
    note("  scikit-learn: %s %.4f, fit %.2f s" % (metric, score, fitted - began))
    return time.perf_counter() - start, fitted - began


def bench_training(connection):
    for name, algorithm, target, other, make, metric in (
            ("linear", "linear_regression", "y", "label", LinearRegression, "r2"),
            ("logistic", "logistic_regression", "label", "y", LogisticRegression, "roc_auc")):
        call = ("CALL mlops_train('%s', 't', target => '%s', algorithm => '%s', exclude => '{%s}', key => 'id')"
                % (name, target, algorithm, other))
        inside, outside, fit = [], [], []
        for turn in range(max(3, RUNS // 2) + 1):
            note("training %s, run %d" % (name, turn))
            ours = seconds(lambda: run(connection, call))
            theirs = train_outside(target, make, metric)
            if turn > 0:		# the first warms up both
                inside.append(ours)
                outside.append(theirs[0])
                fit.append(theirs[1])
        ours = statistics.median(inside)
        add_ratio("`CALL mlops_train`, %s, from table to stored version; against scikit-learn with COPY BINARY" % name,
                  ours, statistics.median(outside), 0.5)
        if name == "logistic":
            add_ratio("the same, against scikit-learn's logistic fit alone", ours, statistics.median(fit), 1.0)
        versions = run(connection, "SELECT max(version) FROM mlops.version WHERE model = '%s'" % name)
        run(connection, "SELECT mlops_promote('%s', %d)" % (name, versions[0][0]))


# ---- scoring ----

def bench_scoring(connection):
    note("scoring a table")
    terms = run(connection, "SELECT term, estimate FROM mlops_coefficients('logistic')")
    formula = " + ".join("(%r)" % float(e) if f not in FEATURES else "(%r) * %s" % (float(e), f)
                         for f, e in terms if e is not None)
    ours = "SELECT sum(mlops_predict('logistic', t)) FROM t"
    theirs = "SELECT sum(1 / (1 + exp(-(%s)))) FROM t" % formula
    a, b = run(connection, ours)[0][0], run(connection, theirs)[0][0]
    if abs(a - b) > 1e-9 * abs(a):
        sys.exit("the formula and mlops_predict disagree: %r against %r" % (b, a))

    def query(sql, jit):
        def action():
            run(connection, "SET jit = " + jit)
            run(connection, sql)
        return action

    off, hand_off, on, hand_on, floor = interleaved(
        [query(ours, "off"), query(theirs, "off"), query(ours, "on"), query(theirs, "on"),
         query("SELECT sum(f1), sum(f28) FROM t", "off")])
    run(connection, "RESET jit")
    add_ratio("`sum(mlops_predict('m', t))` against the formula in SQL, JIT off", off, hand_off, 0.55)
    add_ratio("the same, JIT on and warm", on, hand_on, 0.85)
    add_ratio("`sum(mlops_predict('m', t))` against `sum(f1), sum(f28)`", off, floor, 1.3)


RULES = [("f1 > 1e6", {"set": 0.5}), ("prediction > 1.5", {"set": 0.9}), ("f2 < -1e6 AND f3 > 0.5", {"clip": [0, 0.5]}),
         ("f4 BETWEEN 1e6 AND 2e6 AND f5 > 0.9", {"clip": [0.1, 1]}), ("f6 IN (1000001, 1000002, 1000003)", {"suppress": True}),
         ("f7 IS NULL OR f8 > 1e6", {"set": 0}), ("f9 * f10 > 1e9", {"set": 0.1}), ("prediction < -1 AND f11 > 1e6", {"set": 0.01}),
         ("f12 >= 1e6", {"set": 0.01}), ("f13 > 1e6 AND f14 > 1 AND f15 < 0", {"set": 0.01})]


def bench_rules(connection):
    """Ten rules of all sorts that fire on no row, and checks that none fails: what looking costs."""
    note("scoring with rules")
    version = run(connection, "SELECT version FROM mlops.serving WHERE model = 'logistic'")[0][0]
    rules = json.dumps([{"name": when, "when": when, "then": then} for when, then in RULES])
    number = run(connection, "SELECT mlops_create_rules('logistic', '%s')" % rules)[0][0]

    def scan(number):
        def action():
            run(connection, "SELECT mlops_promote('logistic', %d, rules => %d)" % (version, number))
            run(connection, "SELECT sum(mlops_predict('logistic', t)) FROM t")
        return action

    checks = run(connection, "SELECT mlops_create_rules('logistic', checks => mlops_propose_checks('logistic'))")[0][0]
    ruled, checked, plain = interleaved([scan(number), scan(checks), scan(0)])
    add_ratio("`sum(mlops_predict('m', t))` with ten rules against without", ruled, plain, 1.3)
    add_ratio("`sum(mlops_predict('m', t))` with the checks that are proposed for it, against without", checked, plain, 1.2)


def pgbench(script, clients, duration, background=False):
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(duration),
               "-f", script, "bench"]
    if background:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float([line for line in text.splitlines() if "without initial connection" in line][0].split()[2])


def write_script(folder, name, query, rows):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write("\\set id random(1, %d)\n%s;\n" % (rows, query))
    return path


def bench_points(connection, folder):
    count = run(connection, "SELECT count(*) FROM t")[0][0]
    plain = write_script(folder, "plain.sql", "SELECT * FROM t WHERE id = :id", count)
    scored = write_script(folder, "scored.sql", "SELECT *, mlops_predict('logistic', t) FROM t WHERE id = :id", count)
    alone = write_script(folder, "alone.sql", "SELECT mlops_predict('logistic', t) FROM t WHERE id = :id", count)
    tps = {script: [] for script in (scored, plain, alone)}
    for turn in range(RUNS):
        note("point queries, run %d" % turn)
        for script in tps:
            tps[script].append(pgbench(script, 8, 5))
    without = statistics.median(tps[plain])
    for script, what in ((scored, "`SELECT *, mlops_predict('m', t)` by primary key, prepared, `pgbench -c 8`; against `SELECT *`"),
                         (alone, "`SELECT mlops_predict('m', t)` likewise; against `SELECT *`")):
        add_ratio(what, statistics.median(tps[script]), without, 0.92,
                  shown=lambda rate: "%.0f TPS" % rate, at_least=True)
    return scored


# ---- the log ----

def log_counts(connection):
    return dict(zip(("calls", "written", "waiting", "counted"), run(
        connection, "SELECT calls, written, waiting, without_room + on_standby + without_model + unreachable FROM mlops_log()")[0]))


def log_speed(connection):
    """Rows a second from the first call to the last row in the table, and what became of the calls."""
    before = log_counts(connection)
    start = time.perf_counter()
    run(connection, "SELECT sum(mlops_predict('logged', t, id::text)) FROM t")
    if not run(connection, "SELECT mlops_flush_log('10 minutes')")[0][0]:
        raise RuntimeError("the log was not written in ten minutes")
    took = time.perf_counter() - start
    after = log_counts(connection)
    change = {name: after[name] - before[name] for name in after}
    if change["calls"] != change["written"] + change["waiting"] + change["counted"]:
        raise RuntimeError("calls are neither logged nor counted: %s" % change)
    note("  %(calls)d calls, %(written)d logged, %(counted)d counted" % change)
    return change["written"] / took, change["counted"]


def bench_log():
    connection = connect()
    run(connection, "SET client_min_messages = warning")
    run(connection, "SET mlops.log_wait = '60s'")
    run(connection, "CALL mlops_train('logged', 'SELECT * FROM t LIMIT 10000', target => 'y', algorithm => 'linear_regression', exclude => '{label}', key => 'id')")
    run(connection, "CALL mlops_train('silent', 'SELECT * FROM t LIMIT 10000', target => 'y', algorithm => 'linear_regression', exclude => '{label}', key => 'id')")
    run(connection, "SELECT mlops_promote('logged', 1), mlops_promote('silent', 1)")
    run(connection, "SELECT mlops_set_model('logged', '{\"log_sample\": 1}')")
    count = run(connection, "SELECT count(*) FROM t")[0][0]
    with tempfile.TemporaryDirectory() as folder:
        scripts = [write_script(folder, name + ".sql", "SELECT mlops_predict('%s', t, id::text) FROM t WHERE id = :id" % name, count)
                   for name in ("logged", "silent")]
        rates = [[], []]
        for turn in range(RUNS):
            note("point queries with and without a log, run %d" % turn)
            for i, script in enumerate(scripts):
                rates[i].append(pgbench(script, 8, 5))
    add_ratio("point queries by primary key, prepared, `pgbench -c 8`, every call logged; against none",
              statistics.median(rates[0]), statistics.median(rates[1]), 0.95,
              shown=lambda rate: "%.0f TPS" % rate, at_least=True)
    speeds = [log_speed(connection) for turn in range(min(RUNS, 3))]
    if sum(lost for _, lost in speeds) > 0:
        raise RuntimeError("calls were counted and not logged though they could wait")
    add_ratio("rows of a scan logged a second, none lost; against 100,000",
              statistics.median(speed for speed, _ in speeds), 100000.0, 1.0,
              shown=lambda rate: "%.0f rows/s" % rate, at_least=True)


# ---- serving statistics ----

def bench_statistics():
    """What counting costs: a scan of all rows, and point queries, by two models of which one is counted."""
    connection = connect()
    run(connection, "SET client_min_messages = warning")
    run(connection, "SET jit = off")
    for name, algorithm, target, other in (("linear", "linear_regression", "y", "label"), ("logistic", "logistic_regression", "label", "y")):
        for suffix in ("_counted", "_uncounted"):
            run(connection, "CALL mlops_train('%s', 'SELECT * FROM t LIMIT 10000', target => '%s', algorithm => '%s', exclude => '{%s}', key => 'id')"
                % (name + suffix, target, algorithm, other))
            run(connection, "SELECT mlops_promote('%s', 1)" % (name + suffix))
        run(connection, "SELECT mlops_set_model('%s_counted', '{\"statistics\": true}')" % name)
        counted, uncounted = interleaved([lambda suffix=suffix: run(connection, "SELECT sum(mlops_predict('%s', t)) FROM t" % (name + suffix))
                                          for suffix in ("_counted", "_uncounted")])
        add_ratio("scan of all rows, %s, with serving statistics; against without" % name, counted, uncounted, 1.15)
    count = run(connection, "SELECT count(*) FROM t")[0][0]
    with tempfile.TemporaryDirectory() as folder:
        scripts = [write_script(folder, name + ".sql", "SELECT mlops_predict('linear%s', t) FROM t WHERE id = :id" % name, count)
                   for name in ("_counted", "_uncounted")]
        rates = [[], []]
        for turn in range(RUNS):
            note("point queries with and without serving statistics, run %d" % turn)
            for i, script in enumerate(scripts):
                rates[i].append(pgbench(script, 8, 5))
    add_ratio("point queries by primary key, prepared, `pgbench -c 8`, with serving statistics; against without",
              statistics.median(rates[0]), statistics.median(rates[1]), 0.95,
              shown=lambda rate: "%.0f TPS" % rate, at_least=True)
    run(connection, "SELECT mlops_flush_statistics('1 min')")
    if not run(connection, "SELECT calls = written FROM mlops_counted()")[0][0]:
        raise RuntimeError("rows were counted that are not in the table")


# ---- promoting ----

def bench_promotion(connection, scored):
    note("storing 10,000 versions")
    run(connection, "CALL mlops_train('busy', 'small', target => 'label', exclude => '{y}', key => 'id')")
    run(connection, "SELECT mlops_promote('busy', 1)")
    # copies of one version, put where trainings would put them: 10,000 trainings would take an hour
    run(connection, """
        INSERT INTO mlops_catalog.version
        SELECT (jsonb_populate_record(v, jsonb_build_object('version', n))).*
          FROM mlops_catalog.version v, generate_series(2, 10000) n WHERE v.model = 'busy'""")
    run(connection, """
        INSERT INTO mlops_catalog.artifact
        SELECT a.model, n, a.part, a.data
          FROM mlops_catalog.artifact a, generate_series(2, 10000) n WHERE a.model = 'busy'""")
    run(connection, "UPDATE mlops_catalog.model SET last_version = 10000 WHERE name = 'busy'")
    run(connection, "VACUUM ANALYZE mlops_catalog.version")
    run(connection, "VACUUM ANALYZE mlops_catalog.artifact")

    with open(scored) as file:
        script = file.read().replace("'logistic', t", "'busy', s").replace("FROM t WHERE id", "FROM small s WHERE id")
    path = scored.replace("scored", "busy")
    with open(path, "w") as file:
        file.write(script.replace("random(1, %s" % script.split("random(1, ")[1].split(")")[0], "random(1, 5000"))
    load = pgbench(path, 50, 600, background=True)
    time.sleep(3)
    if load.poll() is not None:
        sys.exit("the load did not start")
    note("promoting under load")
    state = {"version": 2}

    def promote():
        state["version"] = 5 - state["version"]
        run(connection, "SELECT mlops_promote('busy', %d)" % state["version"])

    try:
        ours, theirs = interleaved([promote, lambda: run(connection, "UPDATE one SET n = n + 1 WHERE id = 1")],
                                   runs=100, warm=10)
        commits = {"promote": [], "update": []}
        for turn in range(100):
            for what, sql in (("promote", "SELECT mlops_promote('busy', %d)" % (2 + turn % 2)),
                              ("update", "UPDATE one SET n = n + 1 WHERE id = 1")):
                run(connection, "BEGIN")
                run(connection, sql)
                commits[what].append(seconds(lambda: run(connection, "COMMIT")))
    finally:
        load.terminate()
        load.wait()
    commit, commit_update = statistics.median(commits["promote"]), statistics.median(commits["update"])
    rows.append(("`COMMIT` of a promotion, 10,000 versions stored, 50 connections scoring; against that of a one-row `UPDATE`",
                 milliseconds(commit), milliseconds(commit_update), "%+.2f ms" % (1000 * (commit - commit_update)),
                 "<= +1 ms", "yes" if commit - commit_update <= 0.001 else "no"))
    rows.append(("the whole promotion, statement and commit; against the whole `UPDATE`",
                 milliseconds(ours), milliseconds(theirs), "%+.2f ms" % (1000 * (ours - theirs)),
                 "<= +1 ms", "yes" if ours - theirs <= 0.001 else "no"))


# ---- memory ----

def bench_memory(connection):
    note("memory of a session that scores")
    run(connection, "CALL mlops_train('thirty', 'small', target => 'label', exclude => '{y}', key => 'id')")
    run(connection, "SELECT mlops_promote('thirty', max(version)) FROM mlops.version WHERE model = 'thirty'")
    growth, contexts = [], []

    def private_kb(pid):
        with open("/proc/%d/smaps_rollup" % pid) as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean", "Private_Dirty")))

    def context_kb(session):
        return run(session, "SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts")[0][0]

    for _ in range(5):
        session = connect()
        pid = run(session, "SELECT pg_backend_pid()")[0][0]
        for _ in range(3):
            run(session, "SELECT sum(f1), sum(exp(f30)) FROM small")
            context_kb(session)
        before, before_contexts = private_kb(pid), context_kb(session)
        for _ in range(20):
            run(session, "SELECT sum(mlops_predict('thirty', s)) FROM small s")
        growth.append(private_kb(pid) - before)
        contexts.append(float(context_kb(session)) - float(before_contexts))
        session.close()
    kb = statistics.median(growth)
    rows.append(("growth of a session that scores a model of 30 features (private memory; of it in memory contexts)",
                 "%.0f kB" % kb, "%.0f kB" % statistics.median(contexts), "", "< 1024 kB", "yes" if kb < 1024 else "no"))


# ---- the report ----

def chosen(names):
    """The parts that ONLY names, in their order."""
    wanted = set()
    for name in names:
        if name not in PARTS and name not in GROUPS:
            sys.exit('no part "%s" of the benchmark: there are %s' % (name, ", ".join(list(GROUPS) + PARTS)))
        wanted.update(GROUPS.get(name, [name]))
    return [part for part in PARTS if part in wanted]


def bench_core():
    connection = connect()
    run(connection, "SET client_min_messages = warning")
    make_table("data", "small", ROWS)
    with tempfile.TemporaryDirectory() as folder:
        bench_training(connection)
        bench_scoring(connection)
        bench_rules(connection)
        scored = bench_points(connection, folder)
        bench_memory(connection)
        bench_promotion(connection, scored)


def describe(connection):
    print("%s; PostgreSQL %s, scikit-learn %s, XGBoost %s; %s rows.\n"
          % (machine(), run(connection, "SHOW server_version")[0][0], sklearn.__version__, xgboost.__version__,
             format(ROWS, ",")))
    builds = run(connection, "SELECT builds FROM mlops.version ORDER BY trained_at DESC LIMIT 1")
    if builds:
        print("Built with: %s\n" % ", ".join("%s %s" % item for item in sorted(builds[0][0].items())))


def main():
    parts = chosen(os.environ.get("ONLY", "all").replace(",", " ").split())
    if parts != ["metrics"]:
        make_table("numbers", "t", ROWS)
    if "core" in parts:
        learners.attempt("core", bench_core)
    if "judge" in parts:
        learners.attempt("judge", lambda: judge.bench(interleaved, add_ratio))
    if "metrics" in parts:
        learners.attempt("metrics", lambda: metrics.bench(interleaved, add_ratio))
    if "validate" in parts:
        learners.attempt("validate", lambda: validate.bench_refresh(connect(), add_ratio))
    if "log" in parts:
        make_table("numbers", "t", ROWS)
        learners.attempt("log", bench_log)
    if "shadow" in parts:
        learners.attempt("shadow", lambda: shadow.bench(connect, interleaved, add_ratio))
    if "statistics" in parts:
        make_table("numbers", "t", ROWS)
        learners.attempt("statistics", bench_statistics)
    learners.bench([part for part in parts if part not in OWN])
    describe(connect())
    if rows:
        print_table(("<what", "mlops", "the other", "relation", "goal", "<reached"), rows)
        print()
    learners.report()
    if learners.failed:
        sys.exit("not measured: " + ", ".join(learners.failed))


main()
