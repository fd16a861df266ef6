/*
 * decide.c
 *		Who changes what there is: one client promotes, rolls back, changes
 *		rules and the canary's share, one trains, one drops old versions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

#define KEPT 10					/* versions that are not dropped */
#define GONE "42704"			/* the version was dropped in the meantime */
#define IN_USE "55006"

typedef struct State
{
	int			version;
	int			rules;
	int			canary;
	double		share;
	int			nstack;
	int			newest;			/* deployment */
} State;

static bool
look(Session *session, State *state)
{
	PGresult   *result = ask(session, "SELECT version, rules, canary_version, canary_share, cardinality(stack), "
							 "greatest(deployment, canary_deployment) FROM mlops.serving WHERE model = '" MODEL "'", NULL);

	if (result == NULL || PQntuples(result) != 1)
		return false;
	state->version = field_int(result, 0, 0, 0);
	state->rules = field_int(result, 0, 1, 0);
	state->canary = field_int(result, 0, 2, 0);
	state->share = field_double(result, 0, 3);
	state->nstack = field_int(result, 0, 4, 0);
	state->newest = field_int(result, 0, 5, 0);
	PQclear(result);
	return true;
}

/* one of the newest versions */
static int
some_version(Session *session)
{
	char		sql[200];

	snprintf(sql, sizeof(sql), "SELECT version FROM mlops.version WHERE model = '" MODEL "' ORDER BY version DESC OFFSET %d LIMIT 1",
			 random_below(session, NEWEST));
	return (int) ask_number(session, sql);
}

/* a decision and how many deployments it makes */
static void
decision(Session *session, const State *state, const char *sql, int deployments)
{
	PGresult   *result = ask(session, sql, GONE);
	State		now;

	PQclear(result);
	if (result == NULL || !look(session, &now))
		return;
	session->rows++;
	if (now.newest != state->newest + deployments)
		fail(session->load, "deployment %d after %d: %s", now.newest, state->newest, sql);
}

static void
promote(Session *session, const State *state, int version, int rules, double share)
{
	char		sql[200];

	snprintf(sql, sizeof(sql), "SELECT mlops_promote('" MODEL "', %d, share => %g, rules => %d, expect => %d)",
			 version, share, rules, state->version);
	decision(session, state, sql, 1);
}

static void
keep_canary(Session *session, const State *state, double share)
{
	char		sql[200];

	snprintf(sql, sizeof(sql), "SELECT mlops_promote('" MODEL "', %d, share => %g, expect => %d)", state->canary, share, state->version);
	decision(session, state, sql, 1);
}

static void
with_canary(Session *session, const State *state)
{
	int			dice = random_below(session, 100);
	int			version = some_version(session);
	double		share = random_share(session);

	if (dice < 50 && share != state->share)
		keep_canary(session, state, share);
	else if (dice < 65)
		keep_canary(session, state, 1);
	else if (dice < 80)
		decision(session, state, "SELECT mlops_rollback('" MODEL "')", 1);
	else if (dice < 90 && state->nstack > 0)
		decision(session, state, "SELECT mlops_rollback('" MODEL "', steps => 2)", 2);
	else if (version != state->canary)
		promote(session, state, version, random_below(session, RULE_SETS + 1), 1);
}

static void
without_canary(Session *session, const State *state)
{
	int			dice = random_below(session, 100);
	int			version = some_version(session);
	int			rules = random_below(session, RULE_SETS + 1);

	if (dice >= 85 && state->nstack > 0)
		decision(session, state, "SELECT mlops_rollback('" MODEL "')", 1);
	else if (dice >= 70 && rules != state->rules)
		promote(session, state, state->version, rules, dice % 2 ? 1 : random_share(session));
	else if (version != state->version)
		promote(session, state, version, rules, dice < 20 ? 1 : random_share(session));
}

void *
decide(void *arg)
{
	Session    *session = arg;
	double		next = seconds_now();
	State		state;

	while (!atomic_load(&session->load->stop))
	{
		if (!look(session, &state))
			fail(session->load, "nothing serves");
		else if (state.canary != 0)
			with_canary(session, &state);
		else
			without_canary(session, &state);
		next += 1 / session->load->rate;
		pause_until(session, next);
	}
	return NULL;
}

/* a version says the number that it gets; nobody else trains */
void *
train(void *arg)
{
	Session    *session = arg;
	char		sql[400];

	while (!atomic_load(&session->load->stop))
	{
		int			version = FIRST_VERSIONS + (int) session->rows + 1;
		PGresult   *result;

		snprintf(sql, sizeof(sql), "CALL mlops_train('" MODEL "', 'SELECT kind, (%d + key %% 2 * 2 - 1)::float8 AS says FROM visitor WHERE key <= 500', "
				 "'says', algorithm => 'baseline', holdout => 0)", version);
		result = ask(session, sql, NULL);
		if (result != NULL && field_int(result, 0, 0, 0) != version)
			fail(session->load, "a training made version %d instead of %d", field_int(result, 0, 0, 0), version);
		PQclear(result);
		session->rows++;
		pause_until(session, seconds_now() + 0.1);
	}
	return NULL;
}

void *
drop(void *arg)
{
	Session    *session = arg;
	char		sql[300];

	while (!atomic_load(&session->load->stop))
	{
		PGresult   *result;

		snprintf(sql, sizeof(sql), "SELECT mlops_drop_version('" MODEL "', version, reason => 'old') FROM (SELECT version FROM mlops.version "
				 "WHERE model = '" MODEL "' ORDER BY version DESC OFFSET %d) AS v ORDER BY random() LIMIT 1", KEPT);
		result = ask(session, sql, IN_USE " " GONE);
		if (result != NULL)
			session->rows += PQntuples(result);
		PQclear(result);
		pause_until(session, seconds_now() + 0.05);
	}
	return NULL;
}
