/*
 * score.c
 *		A client that scores. Each statement asks what serves and scores rows
 *		under one snapshot; every row must then be what that says: a version
 *		says its own number, a rule set a number of its own or nothing, and which side a
 *		row is on follows from the formula.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define SERVING "s.version, s.rules, s.canary_version, s.canary_rules, s.canary_share, s.canary_salt, s.deployment, s.canary_deployment"
#define NSERVING 8
/* in the middle of them the statement waits, so that decisions fall into it */
#define SOME_ROWS "v.key BETWEEN $1 AND $1 + 99 AND (v.key % 50 <> 25 OR pg_sleep(0.02)::text IS NOT NULL)"

typedef struct Serving
{
	int			version;
	int			rules;			/* 0: none */
	int			canary;			/* 0: none */
	int			canary_rules;
	double		share;
	uint64_t	seed;
} Serving;

typedef enum Hashed
{
	BY_KEY, BY_ROW
} Hashed;

typedef struct Scan
{
	const char *name;
	Hashed		hashed;
	int			rows;
	int			times;			/* in each round */
	const char *sql;
} Scan;

static const Scan scans[] = {
	{"with a key", BY_KEY, 100, 1, "SELECT " SERVING ", v.key, v.kind, mlops_predict('" MODEL "', v, v.key) "
		"FROM mlops.serving AS s CROSS JOIN visitor AS v WHERE s.model = '" MODEL "' AND " SOME_ROWS},
	{"with a key as text, from JSON", BY_KEY, 100, 1, "SELECT " SERVING ", v.key, v.kind, mlops_predict('" MODEL "', to_jsonb(v), v.key::text) "
		"FROM mlops.serving AS s CROSS JOIN visitor AS v WHERE s.model = '" MODEL "' AND " SOME_ROWS},
	{"without a key", BY_ROW, 100, 1, "SELECT " SERVING ", v.key, v.kind, mlops_predict('" MODEL "', v) "
		"FROM mlops.serving AS s CROSS JOIN visitor AS v WHERE s.model = '" MODEL "' AND " SOME_ROWS},
	{"with a bundle", BY_ROW, 100, 1, "WITH b AS MATERIALIZED (SELECT mlops_bundle('" MODEL "') AS b) "
		"SELECT " SERVING ", v.key, v.kind, mlops_predict((SELECT b FROM b), v) "
		"FROM mlops.serving AS s CROSS JOIN visitor AS v WHERE s.model = '" MODEL "' AND " SOME_ROWS},
	{"of one row", BY_KEY, 1, 100, "SELECT " SERVING ", v.key, v.kind, mlops_predict('" MODEL "', v, v.key) "
		"FROM mlops.serving AS s CROSS JOIN visitor AS v WHERE s.model = '" MODEL "' AND v.key = $1"},
	{"in a function", BY_KEY, 1, 50, "SELECT " SERVING ", v.key, v.kind, says(v.key) "
		"FROM mlops.serving AS s CROSS JOIN visitor AS v WHERE s.model = '" MODEL "' AND v.key = $1"}};

#define NSCANS ((int) (sizeof(scans) / sizeof(scans[0])))

static void
read_serving(const PGresult *result, int row, Serving *serving)
{
	serving->version = field_int(result, row, 0, 0);
	serving->rules = field_int(result, row, 1, 0);
	serving->canary = field_int(result, row, 2, 0);
	serving->canary_rules = field_int(result, row, 3, 0);
	serving->share = field_double(result, row, 4);
	serving->seed = salt_seed(PQgetvalue(result, row, 5));
}

static bool
is_canary(const Serving *serving, Hashed hashed, const char *key, int kind)
{
	double		number = kind;	/* the row as the recipe has it: one double */

	if (serving->canary == 0)
		return false;
	if (hashed == BY_ROW)
		return position_of(&number, sizeof(number), serving->seed) < serving->share;
	return position_of(key, strlen(key), serving->seed) < serving->share;
}

static int
expected(const Serving *serving, bool canary, int kind)
{
	int			rules = canary ? serving->canary_rules : serving->rules;

	if (kind == 0 && rules != 0)
		return RULED + rules;
	if (kind == BARRED && rules != 0)
		return NOTHING;
	return canary ? serving->canary : serving->version;
}

static void
check_row(Session *session, const char *what, const Serving *serving, bool canary, int kind, const char *key, double found)
{
	int			wanted = expected(serving, canary, kind);

	session->rows++;
	if (lround(found) != wanted)
		fail(session->load, "mixed bundles: scan %s, key %s, kind %d: %g instead of %d; version %d, rules %d, canary %d, rules %d, share %g",
			 what, key, kind, found, wanted, serving->version, serving->rules, serving->canary, serving->canary_rules, serving->share);
}

static void
scan(Session *session, int n)
{
	int			first = 1 + scans[n].rows * random_below(session, VISITORS / scans[n].rows);
	PGresult   *result = ask_prepared(session, scans[n].name, first);
	Serving		serving;

	if (result == NULL)
		return;
	if (PQntuples(result) != scans[n].rows)
		fail(session->load, "scan %s: %d rows instead of %d", scans[n].name, PQntuples(result), scans[n].rows);
	for (int i = 0; i < PQntuples(result); i++)
	{
		const char *key = PQgetvalue(result, i, NSERVING);
		int			kind = field_int(result, i, NSERVING + 1, 0);

		read_serving(result, i, &serving);
		check_row(session, scans[n].name, &serving, is_canary(&serving, scans[n].hashed, key, kind), kind, key,
				  field_double(result, i, NSERVING + 2));
	}
	PQclear(result);
	if (scans[n].rows > 1)
		session->changed += ask_number(session, "SELECT count(*) FROM mlops.deployment WHERE model = '" MODEL "' "
									   "AND deployed_at BETWEEN now() - interval '40 ms' AND now()") > 0;
}

/* what the transaction has logged has the shadows that its snapshot sees, those of the whole log at least */
static void
check_logged_shadows(Session *session)
{
	if (ask_number(session, "SELECT count(*) FROM mlops.prediction AS p, mlops.shadow AS w WHERE p.model = '" MODEL "' AND w.model = p.model "
				   "AND p.key IN (SELECT n::text FROM generate_series(1, 60) AS n) AND p.at >= current_setting('load.since')::timestamptz "
				   "AND (p.shadows -> w.name ->> 'version')::int IS DISTINCT FROM w.version AND w.version <> p.version AND w.share = 1") != 0)
		fail(session->load, "mlops_score: a call has not the shadows of its snapshot");
}

/* a query that is logged in the transaction, by what the transaction's snapshot sees */
static void
score_query(Session *session)
{
	PGresult   *result;
	Serving		serving;
	bool		found;

	PQclear(ask(session, "BEGIN ISOLATION LEVEL REPEATABLE READ", NULL));
	result = ask(session, "SELECT " SERVING " FROM mlops.serving AS s WHERE s.model = '" MODEL "'", NULL);
	found = result != NULL && PQntuples(result) == 1;
	if (found)
		read_serving(result, 0, &serving);
	PQclear(result);
	PQclear(ask(session, "SELECT set_config('load.since', clock_timestamp()::text, true)", NULL));
	result = ask(session, "SELECT key, prediction, version, role FROM mlops_score('" MODEL "', 'SELECT * FROM visitor WHERE key <= 60', 'key')", NULL);
	for (int i = 0; found && result != NULL && i < PQntuples(result); i++)
	{
		const char *key = PQgetvalue(result, i, 0);
		int			kind = atoi(key) % KINDS;
		bool		canary = is_canary(&serving, BY_KEY, key, kind);

		check_row(session, "mlops_score", &serving, canary, kind, key, field_double(result, i, 1));
		if (field_int(result, i, 2, 0) != (canary ? serving.canary : serving.version) ||
			strcmp(PQgetvalue(result, i, 3), canary ? "canary" : "active") != 0)
			fail(session->load, "mlops_score: key %s by %s, version %s", key, PQgetvalue(result, i, 3), PQgetvalue(result, i, 2));
	}
	PQclear(result);
	check_logged_shadows(session);
	PQclear(ask(session, "COMMIT", NULL));
}

/* a shadow says its version's number, whatever rules there are */
static void
check_shadow(Session *session, const PGresult *result, int row)
{
	int			version = field_int(result, row, NSERVING + 3, 0);

	session->rows++;
	if (version == 0 || lround(field_double(result, row, NSERVING + 1)) != version)
		fail(session->load, "mlops_predict_all: %s says %s, and is version %d", PQgetvalue(result, row, NSERVING),
			 PQgetvalue(result, row, NSERVING + 1), version);
}

/* both sides at once, and the shadows */
static void
score_all(Session *session)
{
	PGresult   *result = ask(session, "SELECT " SERVING ", p.role, p.prediction, (SELECT count(*) FROM mlops.shadow AS w WHERE w.model = '" MODEL "'), w.version "
							 "FROM mlops.serving AS s CROSS JOIN mlops_predict_all('" MODEL "', '{\"kind\": 1}'::jsonb) AS p "
							 "LEFT JOIN mlops.shadow AS w ON w.model = '" MODEL "' AND p.role = 'shadow.' || w.name AND w.version = p.version "
							 "WHERE s.model = '" MODEL "'", NULL);
	Serving		serving;

	for (int i = 0; result != NULL && i < PQntuples(result); i++)
	{
		const char *role = PQgetvalue(result, i, NSERVING);

		read_serving(result, i, &serving);
		if (PQntuples(result) != (serving.canary != 0 ? 2 : 1) + field_int(result, i, NSERVING + 2, 0))
			fail(session->load, "mlops_predict_all: %d lines", PQntuples(result));
		if (strncmp(role, "shadow.", 7) == 0)
			check_shadow(session, result, i);
		else
			check_row(session, "mlops_predict_all", &serving, strcmp(role, "canary") == 0, 1, "none", field_double(result, i, NSERVING + 1));
	}
	PQclear(result);
}

/* half of the clients scan with workers that begin after the statement */
static void
prepare(Session *session)
{
	if (session->number % 2 == 1)
		PQclear(ask(session, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; "
					"SET max_parallel_workers_per_gather = 1", NULL));
	for (int i = 0; i < NSCANS; i++)
	{
		PGresult   *result = PQprepare(session->connection, scans[i].name, scans[i].sql, 1, NULL);

		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			fail(session->load, "%s: %s", scans[i].name, PQresultErrorMessage(result));
		PQclear(result);
	}
}

void *
score(void *arg)
{
	Session    *session = arg;

	if (!session->prepared)
		prepare(session);
	session->prepared = true;
	for (int n = 0; !atomic_load(&session->load->stop); n++)
	{
		for (int i = 0; i < scans[n % NSCANS].times && !atomic_load(&session->load->stop); i++)
			scan(session, n % NSCANS);
		if (n % 10 == 5)
			score_query(session);
		if (n % 10 == 9)
			score_all(session);
	}
	return NULL;
}
