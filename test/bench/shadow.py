"""What a shadow costs a scan: one at 10 % of the keys, against the same scan and the same log without it.

The log takes 10 % of the keys, too, and all of them. The shadow is another logistic regression of the same 28
columns, or 100 boosted trees, which take about ten times as long as the version that answers. Nothing waits
for the log's writer but between the scans.
"""
from measure import note, run

TRAIN = ("CALL mlops_train('%s', 'SELECT * FROM t LIMIT 20000', target => 'label', exclude => '{y}', key => 'id', "
         "algorithm => '%s', params => '%s')")


def prepare(connection):
    run(connection, "SET client_min_messages = error")
    run(connection, "SET max_parallel_workers_per_gather = 0")
    run(connection, "SELECT mlops_drop_model(model, force => true) FROM mlops.model WHERE model IN ('alone', 'shadowed')")
    for model in ("alone", "shadowed"):
        run(connection, TRAIN % (model, "logistic_regression", "{}"))
        run(connection, TRAIN % (model, "logistic_regression", '{"l2": 0.1}'))
        run(connection, TRAIN % (model, "gradient_boosting", '{"trees": 100}'))
        run(connection, "SELECT mlops_promote('%s', 1)" % model)


def scan(connection, model):
    def action():
        run(connection, "SELECT sum(mlops_predict('%s', t, id::bigint)) FROM t" % model)
    return action


def settle(connection):
    run(connection, "SELECT mlops_flush_log('5 minutes')")


def compare(connection, interleaved, sample, version):
    for model in ("alone", "shadowed"):
        run(connection, "SELECT mlops_set_model('%s', '{\"log_sample\": %g}')" % (model, sample))
    run(connection, "SELECT mlops_shadow('shadowed', NULL, name => 's', enabled => false)")
    run(connection, "SELECT mlops_shadow('shadowed', %d, name => 's', share => 0.1)" % version)
    nothing = lambda: settle(connection)
    shadowed, _, alone, _ = interleaved([scan(connection, "shadowed"), nothing, scan(connection, "alone"), nothing])
    return shadowed, alone


def bench(connect, interleaved, add_ratio):
    connection = connect()
    prepare(connection)
    for sample, what in ((0.1, "10 %"), (1, "all")):
        for version, shadow in ((2, "a logistic regression"), (3, "100 trees")):
            note("a scan with a shadow, %s, %s logged" % (shadow, what))
            shadowed, alone = compare(connection, interleaved, sample, version)
            add_ratio("`sum(mlops_predict('m', t, id))`, %s of the keys logged, one shadow (%s) for 10 %% of them; against none" % (what, shadow),
                      shadowed, alone, 1.2)
