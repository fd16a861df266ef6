"""Metrics as aggregates against sorting and against the formula in SQL, over ten rows for every row of ROWS."""
from measure import ROWS, connect, note, run


def sides():
    """What is measured: words, our query, the other, goal."""
    ordered = "SELECT count(*) FROM (SELECT score FROM scored ORDER BY score OFFSET 0) AS s"
    return [
        ("`mlops_roc_auc(score, label)`, %s rows; `SELECT score ... ORDER BY score`" % format(10 * ROWS, ","),
         "SELECT mlops_roc_auc(score, label) FROM scored", ordered, 1.5),
        ("the same; `percentile_disc(0.5) WITHIN GROUP (ORDER BY score)`, which reads half of what it has sorted",
         "SELECT mlops_roc_auc(score, label) FROM scored",
         "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY score) FROM scored", 1.5),
        ("its mergeable form, in bins; `SELECT score ... ORDER BY score`",
         "SELECT mlops.final(mlops_roc_auc_state(score, label)) FROM scored", ordered, 1.5),
        ("`mlops_accuracy`, `mlops_precision`, `mlops_recall`, `mlops_f1` at once; `avg` and three `count(*) FILTER` for the same cells",
         "SELECT mlops_accuracy(score, label), mlops_precision(score, label), mlops_recall(score, label), mlops_f1(score, label) FROM scored",
         "SELECT avg(((score >= 0.5) = label)::int), count(*) FILTER (WHERE score >= 0.5 AND label), count(*) FILTER (WHERE score >= 0.5), "
         "count(*) FILTER (WHERE label) FROM scored", 1.5),
        ("`mlops_brier(score, label)`; `avg((score - label::int) ^ 2)`",
         "SELECT mlops_brier(score, label) FROM scored", "SELECT avg((score - label::int) ^ 2) FROM scored", 1.0),
    ]


def bench(interleaved, add_ratio):
    connection = connect()
    note("metrics: generating %s rows" % format(10 * ROWS, ","))
    run(connection, "SET jit = off")
    run(connection, "DROP TABLE IF EXISTS scored")
    run(connection, "CREATE UNLOGGED TABLE scored AS SELECT random()::float8 AS score, random() < 0.3 AS label "
                    "FROM generate_series(1, %d)" % (10 * ROWS))
    run(connection, "VACUUM ANALYZE scored")
    for what, ours, theirs, goal in sides():
        note("metrics: " + what)
        a, b = interleaved([lambda: run(connection, ours), lambda: run(connection, theirs)], runs=3)
        add_ratio(what, a, b, goal)
    run(connection, "DROP TABLE scored")
