/*
 * check.c
 *		What the log has of the run, row by row against the history: who answered
 *		and with which version, rules and share, by the deployment that the row
 *		names.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

typedef struct Deployment
{
	int			version;
	int			rules;			/* 0: none */
	double		share;
	uint64_t	seed;
} Deployment;

typedef struct History
{
	Deployment *deployment;		/* by number, from 1 on */
	int			n;
} History;

static bool
read_history(Session *session, History *history)
{
	PGresult   *result = ask(session, "SELECT number, version, rules, share, canary_salt FROM mlops.deployment WHERE model = '" MODEL "' ORDER BY number", NULL);

	if (result == NULL)
		return false;
	history->n = PQntuples(result);
	history->deployment = calloc((size_t) history->n + 1, sizeof(Deployment));
	for (int i = 0; i < history->n; i++)
	{
		Deployment *d = &history->deployment[i + 1];

		if (field_int(result, i, 0, 0) != i + 1)
			fail(session->load, "deployment %d is missing in the history", i + 1);
		d->version = field_int(result, i, 1, 0);
		d->rules = field_int(result, i, 2, 0);
		d->share = field_double(result, i, 3);
		d->seed = salt_seed(PQgetvalue(result, i, 4));
	}
	PQclear(result);
	return true;
}

/* what is wrong with a row; NULL: nothing. Columns: key, role, version, deployment, rules_fired, prediction, checks_failed */
static const char *
wrong(const PGresult *row, const History *history)
{
	const char *key = PQgetvalue(row, 0, 0);
	bool		canary = strcmp(PQgetvalue(row, 0, 1), "canary") == 0;
	int			number = field_int(row, 0, 3, 0);
	int			kind = atoi(key) % KINDS;
	const Deployment *d = &history->deployment[number];
	bool		ruled;
	bool		barred;

	if (number < 1 || number > history->n)
		return "no such deployment";
	ruled = d->rules != 0 && kind == 0;
	barred = d->rules != 0 && kind == BARRED;
	if (canary != (d->share < 1))
		return "the role is not the deployment's";
	if (field_int(row, 0, 2, 0) != d->version)
		return "the version is not the deployment's";
	if (canary && position_of(key, strlen(key), d->seed) >= d->share)
		return "the key is not the canary's";
	if (PQgetisnull(row, 0, 6) != (d->rules == 0))
		return "the rules are not the deployment's";
	if (PQgetisnull(row, 0, 4) != (d->rules == 0 || barred) || field_int(row, 0, 6, 0) != (barred ? 1 : 0))
		return "the check did not hold as it should";
	if (field_int(row, 0, 4, 0) != (ruled ? 1 : 0))
		return "the rule did not fire as it should";
	if (lround(field_double(row, 0, 5)) != (barred ? NOTHING : ruled ? RULED + d->rules : d->version))
		return "the prediction is not the bundle's";
	return NULL;
}

static int64_t
check_rows(Session *session, const History *history)
{
	int64_t		n = 0;
	PGresult   *row;

	if (!PQsendQuery(session->connection, "SELECT key, role, version, deployment, rules_fired, prediction, checks_failed FROM mlops.prediction WHERE model = '" MODEL "'") ||
		!PQsetSingleRowMode(session->connection))
		fail(session->load, "the log: %s", PQerrorMessage(session->connection));
	while ((row = PQgetResult(session->connection)) != NULL)
	{
		if (PQresultStatus(row) == PGRES_SINGLE_TUPLE)
		{
			const char *problem = wrong(row, history);

			n++;
			if (problem != NULL && atomic_load(&session->load->failures) < 10)
				fail(session->load, "logged: %s: key %s, %s, version %s, deployment %s, rules %s, prediction %s", problem,
					 PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2), PQgetvalue(row, 0, 3),
					 PQgetvalue(row, 0, 4), PQgetvalue(row, 0, 5));
		}
		else if (PQresultStatus(row) != PGRES_TUPLES_OK)
			fail(session->load, "the log: %s", PQresultErrorMessage(row));
		PQclear(row);
	}
	return n;
}

void
check_log(Session *session)
{
	History		history = {0};
	int64_t		n;

	PQclear(ask(session, "SELECT mlops_flush_log('60 s')", NULL));
	if (!read_history(session, &history))
		return;
	n = check_rows(session, &history);
	printf("# log: %lld rows against %d deployments\n", (long long) n, history.n);
	if (n == 0)
		fail(session->load, "nothing was logged");
	if (ask_number(session, "SELECT (calls <> written + waiting + without_room + on_standby + without_model + unreachable)::int FROM mlops_log()") != 0)
		fail(session->load, "calls are neither logged nor counted");
	PQclear(ask(session, "SELECT mlops_flush_statistics('60 s')", NULL));
	if (ask_number(session, "SELECT (calls <> written + waiting + without_room + on_standby + without_model + unreachable)::int FROM mlops_counted()") != 0)
		fail(session->load, "the serving statistics do not add up");
	if (ask_number(session, "SELECT sum(rows) FROM mlops.serving_statistics WHERE model = '" MODEL "' AND role IN ('active', 'canary')") < n / 2)
		fail(session->load, "the serving statistics have fewer rows than half of the log");
	if (ask_number(session, "SELECT count(*) FROM mlops_verify() AS v WHERE NOT v.ok") != 0)
		fail(session->load, "an artifact is not sound");
	free(history.deployment);
}
