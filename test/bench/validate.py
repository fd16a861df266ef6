"""What a refresh of a validation set costs against writing the same rows by hand.

A window of 100,000 rows of 28 features, all of them kept; with each turn 10,000 rows come and as many fall out. The
other side is INSERT ... SELECT of the 10,000 and DELETE of those that fell out, in a table with the
same columns, a primary key and an index on the time.
"""
import statistics

from measure import note, run, seconds

TURNS = 9
STEP = 10000
FEATURES = ", ".join("hashint8(i * 31 + %d)::float8 AS f%d" % (f, f) for f in range(1, 29))
AT = "timestamptz '2026-01-01 00:00+00' + %s * interval '1 minute'"


def prepare(connection):
    run(connection, "SET client_min_messages = error")
    run(connection, "SELECT mlops_drop_model(model) FROM mlops.model WHERE model = 'rolling'")
    run(connection, "DROP TABLE IF EXISTS event, event_copy")
    run(connection, "CREATE TABLE event AS SELECT i AS id, %s AS at, hashint8(i) %% 3 = 0 AS label, %s "
                    "FROM generate_series(0, %d) AS i" % (AT % "i", FEATURES, 10 * STEP + (TURNS + 1) * STEP - 1))
    run(connection, "ALTER TABLE event ADD PRIMARY KEY (id)")
    run(connection, "CREATE INDEX ON event (at)")
    run(connection, "CREATE TABLE event_copy (LIKE event INCLUDING ALL)")
    run(connection, "INSERT INTO event_copy SELECT * FROM event WHERE at < %s" % (AT % (10 * STEP)))
    run(connection, "ANALYZE event, event_copy")
    run(connection, "SELECT mlops_create_model('rolling', target => 'label')")
    run(connection, "SELECT mlops_create_validation_set('rolling', 'recent', 'event', key => 'id', time_column => 'at', "
                    "period => interval '1 minute' * %d, max_rows => 1000000, lateness => '0')" % (10 * STEP))
    refresh(connection, 10)


def refresh(connection, step):
    run(connection, "SELECT mlops_refresh_validation_set('rolling', as_of => %s)" % (AT % (step * STEP)))


def by_hand(connection, step):
    run(connection, "BEGIN")
    run(connection, "INSERT INTO event_copy SELECT * FROM event WHERE at >= %s AND at < %s"
        % (AT % ((step - 1) * STEP), AT % (step * STEP)))
    run(connection, "DELETE FROM event_copy WHERE at < %s" % (AT % ((step - 10) * STEP)))
    run(connection, "COMMIT")


def bench_refresh(connection, add_ratio):
    prepare(connection)
    ours, theirs = [], []
    for turn in range(TURNS):
        ours.append(seconds(lambda: refresh(connection, 11 + turn)))
        theirs.append(seconds(lambda: by_hand(connection, 11 + turn)))
    note("  refresh of 10,000 rows: %s ms; by hand %s ms" % ([round(1000 * s) for s in ours], [round(1000 * s) for s in theirs]))
    add_ratio("refresh of a validation set: 10,000 rows come and go", statistics.median(ours), statistics.median(theirs), 2)
