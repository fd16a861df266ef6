"""Judging: evaluating 100,000 rows x 28 with 8 metrics on 20 slices, against scoring
the same rows, and what keeping fingerprints costs a training."""
from measure import ROWS, connect, note, run

JUDGED = min(100000, ROWS // 2)
EVALUATE = ("SELECT count(*) FROM mlops_evaluate_query('judged/%d', 'judged', slices => '{part}', "
            "metrics => '{roc_auc,log_loss,brier,accuracy,precision,recall,f1,mcc}')")
SCORE = "SELECT sum(mlops_predict('judged/%d', j)) FROM judged j"


def bench(interleaved, add_ratio):
    connection = connect()
    run(connection, "SET client_min_messages = warning")
    run(connection, "SET jit = off")
    run(connection, "SET max_parallel_workers_per_gather = 0")
    run(connection, "CREATE UNLOGGED TABLE judged AS SELECT *, id %% 20 AS part FROM t WHERE id <= %d" % JUDGED)
    run(connection, "VACUUM (FREEZE, ANALYZE) judged")
    train = ("SELECT mlops_train_now('judged', 'SELECT * FROM t WHERE id > %d', 'label', exclude => '{id,y}', "
             "algorithm => '%s', options => '{\"row_fingerprints\": \"%s\"}')")
    for version, algorithm in ((1, "logistic_regression"), (2, "gradient_boosting")):
        note("judging %s" % algorithm)
        run(connection, train % (JUDGED, algorithm, "exact"))
        evaluate, score = interleaved([lambda: run(connection, EVALUATE % version),
                                       lambda: run(connection, SCORE % version)])
        add_ratio("`mlops_evaluate_query`, %s, %s rows, 8 metrics, 20 slices; against `sum(mlops_predict('m', t))`"
                  % (algorithm, format(JUDGED, ",")), evaluate, score, 2)
    note("fingerprints of training rows")
    kept, none = interleaved([lambda: run(connection, train % (0, "logistic_regression", "exact")),
                              lambda: run(connection, train % (0, "logistic_regression", "none"))])
    add_ratio("`mlops_train`, logistic, fingerprints of its rows kept; against not kept", kept, none, 1.05)
    run(connection, "SELECT mlops_drop_model('judged')")
    run(connection, "DROP TABLE judged")
