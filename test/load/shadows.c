/*
 * shadows.c
 *		Who sets and removes shadows while others score, and what the log has of
 *		them: at each logged call the shadows must be those of one moment shortly
 *		before it, all of them whose sample the key is in, and each must have
 *		said its version's number.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define NAMES		2
#define LONGEST		3.0			/* seconds from the snapshot of a statement to its last call */
#define NO_SHADOW	"42704 55000"	/* the version was dropped in the meantime, or is active */

static const char *const names[NAMES] = {"one", "two"};

/* what there was between two changes */
typedef struct State
{
	double		at;				/* the change that made it, before its commit */
	int			version[NAMES]; /* 0: none */
	double		share[NAMES];
} State;

typedef struct Changes
{
	State	   *state;			/* in their order; the first one is from before the run */
	int			n;
} Changes;

/* what a row of the log has; columns: key, version, seconds, then status, version, prediction of each name */
typedef struct Said
{
	const PGresult *row;
	double		position;		/* of the key in the samples */
	int			answered;
	double		at;
} Said;

/* ---- setting and removing ---- */

static void
change_shadow(Session *session)
{
	const char *name = names[random_below(session, NAMES)];
	char		sql[300];

	if (random_below(session, 100) < 25)
		snprintf(sql, sizeof(sql), "SELECT mlops_shadow('" MODEL "', NULL, name => '%s', enabled => false)", name);
	else
		snprintf(sql, sizeof(sql), "SELECT mlops_shadow('" MODEL "', version, name => '%s', share => %g) FROM (SELECT version FROM mlops.version "
				 "WHERE model = '" MODEL "' ORDER BY version DESC OFFSET %d LIMIT 1) AS v",
				 name, random_below(session, 3) == 0 ? 1.0 : random_share(session), random_below(session, NEWEST));
	PQclear(ask(session, sql, NO_SHADOW));
	session->rows++;
}

void *
shade(void *arg)
{
	Session    *session = arg;
	double		next = seconds_now();

	while (!atomic_load(&session->load->stop))
	{
		change_shadow(session);
		next += 2 / session->load->rate;
		pause_until(session, next);
	}
	return NULL;
}

/* ---- which there were ---- */

static int
name_number(const char *name)
{
	for (int i = 0; i < NAMES; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

static bool
read_changes(Session *session, Changes *changes)
{
	PGresult   *result = ask(session, "SELECT name, CASE event WHEN 'set' THEN version END, share, date_part('epoch', at) "
							 "FROM mlops.shadow_event WHERE model = '" MODEL "' ORDER BY number", NULL);

	if (result == NULL)
		return false;
	changes->n = PQntuples(result) + 1;
	changes->state = calloc((size_t) changes->n, sizeof(State));
	for (int i = 1; i < changes->n; i++)
	{
		State	   *state = &changes->state[i];
		int			name = name_number(PQgetvalue(result, i - 1, 0));

		*state = state[-1];
		state->at = field_double(result, i - 1, 3);
		if (name < 0)
			fail(session->load, "a shadow has the name %s", PQgetvalue(result, i - 1, 0));
		else
		{
			state->version[name] = field_int(result, i - 1, 1, 0);
			state->share[name] = field_double(result, i - 1, 2);
		}
	}
	PQclear(result);
	return true;
}

/* ---- rows ---- */

/* is that all that the shadows of a moment would have said of the row? */
static bool
is_of(const Said *said, const State *state)
{
	for (int i = 0; i < NAMES; i++)
	{
		bool		asked = state->version[i] != 0 && said->position < state->share[i] && state->version[i] != said->answered;

		if (PQgetisnull(said->row, 0, 3 + 3 * i) == asked ||
			(asked && field_int(said->row, 0, 4 + 3 * i, 0) != state->version[i]))
			return false;
	}
	return true;
}

static bool
is_of_some_moment(const Said *said, const Changes *changes)
{
	for (int i = changes->n - 1; i >= 0; i--)
	{
		if (changes->state[i].at > said->at)
			continue;
		if (is_of(said, &changes->state[i]))
			return true;
		if (changes->state[i].at < said->at - LONGEST)
			return false;
	}
	return false;
}

/* what is wrong with a row; NULL: nothing */
static const char *
wrong(const PGresult *row, const Changes *changes, int64_t *asked)
{
	static uint64_t seed = 0;
	const char *key = PQgetvalue(row, 0, 0);
	Said		said = {.row = row, .answered = field_int(row, 0, 1, 0), .at = field_double(row, 0, 2)};

	if (seed == 0)
		seed = sample_seed(MODEL);
	said.position = position_of(key, strlen(key), seed);
	for (int i = 0; i < NAMES; i++)
	{
		const char *status = PQgetvalue(row, 0, 3 + 3 * i);

		if (PQgetisnull(row, 0, 3 + 3 * i))
			continue;
		(*asked)++;
		if (strcmp(status, "ok") == 0 && lround(field_double(row, 0, 5 + 3 * i)) != field_int(row, 0, 4 + 3 * i, 0))
			return "a shadow did not say its version's number";
		if (strncmp(status, "failed", 6) == 0)
			return status;
	}
	return is_of_some_moment(&said, changes) ? NULL : "its shadows are those of no moment";
}

static void
check_rows(Session *session, const Changes *changes)
{
	int64_t		rows = 0;
	int64_t		asked = 0;
	PGresult   *row;

	if (!PQsendQuery(session->connection, "SELECT key, version, date_part('epoch', at), "
					 "shadows -> 'one' ->> 'status', shadows -> 'one' ->> 'version', shadows -> 'one' ->> 'prediction', "
					 "shadows -> 'two' ->> 'status', shadows -> 'two' ->> 'version', shadows -> 'two' ->> 'prediction' "
					 "FROM mlops.prediction WHERE model = '" MODEL "'") ||
		!PQsetSingleRowMode(session->connection))
		fail(session->load, "the shadows of the log: %s", PQerrorMessage(session->connection));
	while ((row = PQgetResult(session->connection)) != NULL)
	{
		bool		is_row = PQresultStatus(row) == PGRES_SINGLE_TUPLE;
		const char *problem = is_row ? wrong(row, changes, &asked) : NULL;

		rows += is_row;
		if (problem != NULL && atomic_load(&session->load->failures) < 10)
			fail(session->load, "logged: %s: key %s, version %s, at %s; one: %s, version %s, %s; two: %s, version %s, %s", problem,
				 PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2), PQgetvalue(row, 0, 3), PQgetvalue(row, 0, 4),
				 PQgetvalue(row, 0, 5), PQgetvalue(row, 0, 6), PQgetvalue(row, 0, 7), PQgetvalue(row, 0, 8));
		PQclear(row);
	}
	printf("# shadows: %lld calls of %lld rows against %d changes\n", (long long) asked, (long long) rows, changes->n - 1);
	if (asked == 0)
		fail(session->load, "no shadow was asked");
}

void
check_shadows(Session *session)
{
	Changes		changes = {0};

	if (!read_changes(session, &changes))
		return;
	check_rows(session, &changes);
	if (ask_number(session, "SELECT count(*) FROM mlops.prediction AS p, jsonb_each(p.shadows) AS s WHERE p.model = '" MODEL "' "
				   "AND (s.value ->> 'version')::int NOT IN (SELECT version FROM mlops.version WHERE model = '" MODEL "' "
				   "UNION SELECT version FROM mlops.dropped_version WHERE model = '" MODEL "')") != 0)
		fail(session->load, "the log has a shadow of a version that there never was");
	if (ask_number(session, "SELECT count(*) FROM (SELECT (SELECT sum(calls) FROM mlops.shadow_cost WHERE model = '" MODEL "') AS cost, "
				   "(SELECT count(*) FROM mlops.prediction AS p, jsonb_each(p.shadows) WHERE p.model = '" MODEL "') AS log) AS n WHERE cost <> log") != 0)
		fail(session->load, "what shadows cost is not of the calls in the log");
	free(changes.state);
}
