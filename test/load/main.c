/*
 * main.c
 *		A load driver: many clients score while one promotes, rolls back and
 *		changes rules and the canary's share, one sets and removes shadows, one trains
 *		and one drops old versions, for a bounded time. It fails if a statement raises
 *		an error, if a row is not what the bundle in force for its snapshot says, if a row
 *		of the log is not what its deployment and the shadows of its time say, or if
 *		the memory of a backend grows.
 *
 *		load [-t seconds] [-c clients] [-r decisions a second] connection
 *
 * The database must be there, with the extension and nothing of a run before;
 * the log of mlops_predict needs a server that preloads mlops.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "load.h"

#define MAX_SCORERS 64
#define OTHERS 4				/* who decides, trains, drops, sets shadows */

/*
 * How much a backend may grow between a third of the time and the end. Memory
 * comes in blocks that double, and caches of the server fill up.
 */
#define MAX_CONTEXTS	(512 * 1024)
#define MAX_RESIDENT	(4 * 1024 * 1024)

static const char setup[] =
	"CREATE TABLE visitor AS SELECT i::bigint AS key, i %% %d AS kind FROM generate_series(1, %d) AS i; "
	"ALTER TABLE visitor ADD PRIMARY KEY (key); ANALYZE visitor; "
	"CREATE FUNCTION says(k bigint) RETURNS float8 LANGUAGE plpgsql STABLE AS $$ "
	"DECLARE v visitor; BEGIN v := (k, k %% %d); RETURN mlops_predict('" MODEL "', v, k); END $$; "
	"SELECT mlops_train_now('" MODEL "', format('SELECT kind, (%%s + key %%%% 2 * 2 - 1)::float8 AS says FROM visitor WHERE key <= 500', i), "
	"'says', algorithm => 'baseline', holdout => 0) FROM generate_series(1, %d) AS i; "
	"SELECT mlops_set_model('" MODEL "', '{\"log_sample\": 1, \"statistics\": true}'); "
	"SELECT mlops_create_rules('" MODEL "', jsonb_build_array(jsonb_build_object('name', 'zero', 'when', 'kind = 0', "
	"'then', jsonb_build_object('set', %d + i))), checks => '[{\"name\": \"known\", \"check\": \"range\", \"column\": \"kind\", "
	"\"high\": %d, \"severity\": \"hard\"}]') FROM generate_series(1, %d) AS i; "
	"SELECT mlops_promote('" MODEL "', 1, rules => 0)";

static void
make_model(Session *session)
{
	char		sql[2000];

	snprintf(sql, sizeof(sql), setup, KINDS, VISITORS, KINDS, FIRST_VERSIONS, RULED, BARRED - 1, RULE_SETS);
	PQclear(ask(session, sql, NULL));
}

static void
check_growth(const Session *session)
{
	int64_t		contexts = session->after.contexts - session->before.contexts;
	int64_t		resident = session->after.resident - session->before.resident;

	printf("# %s %d: %lld statements, %lld rows or decisions, %lld refused, %lld beside a decision; memory %lld kB, %+lld kB; resident %lld kB, %+lld kB\n",
		   session->name, session->number, (long long) session->statements, (long long) session->rows,
		   (long long) session->refused, (long long) session->changed,
		   (long long) session->after.contexts / 1024, (long long) contexts / 1024,
		   (long long) session->after.resident / 1024, (long long) resident / 1024);
	if (session->before.contexts >= 0 && contexts > MAX_CONTEXTS)
		fail(session->load, "%s %d: memory grew by %lld bytes", session->name, session->number, (long long) contexts);
	if (session->before.resident >= 0 && session->after.resident >= 0 && resident > MAX_RESIDENT)
		fail(session->load, "%s %d: resident memory grew by %lld bytes", session->name, session->number, (long long) resident);
}

/* a part of the run: the threads end, their sessions stay */
static void
run(Load *load, Session *sessions, int n, double seconds)
{
	pthread_t	thread[MAX_SCORERS + OTHERS];
	void	   *(*const others[OTHERS]) (void *) = {decide, train, drop, shade};
	double		end = seconds_now() + seconds;

	atomic_store(&load->stop, atomic_load(&load->failures) > 0);
	for (int i = 0; i < n; i++)
		pthread_create(&thread[i], NULL, i < OTHERS ? others[i] : score, &sessions[i]);
	while (!atomic_load(&load->stop) && seconds_now() < end)
		usleep(20000);
	atomic_store(&load->stop, true);
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

static bool
open_sessions(Load *load, Session *sessions, int n)
{
	static const char *const names[OTHERS] = {"decides", "trains", "drops", "shades"};
	bool		good = true;

	for (int i = 0; i < n && good; i++)
		good = open_session(&sessions[i], load, i < OTHERS ? names[i] : "scores", i < OTHERS ? 0 : i - OTHERS + 1);
	return good;
}

static void
measure(Load *load, Session *sessions, int n)
{
	Session		looker;
	int			writer_before;
	int64_t		before;

	run(load, sessions, n, load->seconds / 3);
	for (int i = 0; i < n; i++)
		sessions[i].before = memory_of(&sessions[i]);
	if (!open_session(&looker, load, "looks", 0))
		return;
	writer_before = (int) ask_number(&looker, "SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'mlops log writer'");
	before = resident_bytes(writer_before);
	run(load, sessions, n, load->seconds * 2 / 3);
	for (int i = 0; i < n; i++)
		sessions[i].after = memory_of(&sessions[i]);
	if (writer_before != 0 && before >= 0 && resident_bytes(writer_before) - before > MAX_RESIDENT)
		fail(load, "the log writer: resident memory grew by %lld bytes", (long long) (resident_bytes(writer_before) - before));
	for (int i = 0; i < n; i++)
		check_growth(&sessions[i]);
	check_log(&looker);
	check_shadows(&looker);
	PQfinish(looker.connection);
}

static bool
read_options(int argc, char **argv, Load *load)
{
	int			option;

	while ((option = getopt(argc, argv, "t:c:r:")) != -1)
	{
		if (option == 't')
			load->seconds = atof(optarg);
		else if (option == 'c')
			load->scorers = atoi(optarg);
		else if (option == 'r')
			load->rate = atof(optarg);
		else
			return false;
	}
	load->connection = argc == optind + 1 ? argv[optind] : NULL;
	return load->connection != NULL && load->seconds > 0 && load->rate > 0 && load->scorers > 0 && load->scorers <= MAX_SCORERS;
}

int
main(int argc, char **argv)
{
	Load		load = {.seconds = 30, .rate = 20, .scorers = 8};
	Session		sessions[MAX_SCORERS + OTHERS];
	int			n;

	if (!read_options(argc, argv, &load))
	{
		fprintf(stderr, "usage: load [-t seconds] [-c clients] [-r decisions a second] connection\n");
		return 2;
	}
	n = OTHERS + load.scorers;
	if (open_sessions(&load, sessions, n))
	{
		make_model(&sessions[0]);
		measure(&load, sessions, n);
	}
	printf("%s - %d clients score while one decides, one sets shadows, one trains and one drops, for %g seconds\n",
		   atomic_load(&load.failures) == 0 ? "ok" : "not ok", load.scorers, load.seconds);
	return atomic_load(&load.failures) == 0 ? 0 : 1;
}
