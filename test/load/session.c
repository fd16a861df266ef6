/*
 * session.c
 *		Sessions of the load driver: statements, fields, time, memory.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

void
fail(Load *load, const char *format, ...)
{
	char		text[2000];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	atomic_fetch_add(&load->failures, 1);
	atomic_store(&load->stop, true);
	printf("# %s\n", text);
	fflush(stdout);
}

static void
be_silent(void *arg, const PGresult *notice)
{
}

bool
open_session(Session *session, Load *load, const char *name, int number)
{
	memset(session, 0, sizeof(Session));
	session->load = load;
	session->name = name;
	session->number = number;
	session->seed = (unsigned) number * 7919 + 17;
	session->connection = PQconnectdb(load->connection);
	if (PQstatus(session->connection) != CONNECTION_OK)
	{
		fail(load, "%s: %s", name, PQerrorMessage(session->connection));
		return false;
	}
	PQsetNoticeReceiver(session->connection, be_silent, NULL);
	PQclear(ask(session, "SET client_min_messages = warning", NULL));
	/* versions come and go: what of them stays in memory has a bound that is soon reached */
	PQclear(ask(session, "SET mlops.artifact_cache = '64kB'", NULL));
	return atomic_load(&load->failures) == 0;
}

/* NULL, and the run has failed, unless the statement has a result or its error was expected */
static PGresult *
examine(Session *session, PGresult *result, const char *sql, const char *expected)
{
	ExecStatusType status = PQresultStatus(result);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	session->statements++;
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	if (expected != NULL && state != NULL && strstr(expected, state) != NULL)
		session->refused++;
	else
		fail(session->load, "%s %d: %s: %s in: %s", session->name, session->number, state ? state : "?",
			 PQresultErrorMessage(result), sql);
	PQclear(result);
	return NULL;
}

PGresult *
ask(Session *session, const char *sql, const char *expected)
{
	return examine(session, PQexec(session->connection, sql), sql, expected);
}

PGresult *
ask_prepared(Session *session, const char *statement, int parameter)
{
	char		text[16];
	const char *values[1] = {text};

	snprintf(text, sizeof(text), "%d", parameter);
	return examine(session, PQexecPrepared(session->connection, statement, 1, values, NULL, NULL, 0), statement, NULL);
}

int64_t
ask_number(Session *session, const char *sql)
{
	PGresult   *result = ask(session, sql, NULL);
	int64_t		number = 0;

	if (result != NULL && PQntuples(result) > 0)
		number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return number;
}

int
field_int(const PGresult *result, int row, int column, int if_null)
{
	return PQgetisnull(result, row, column) ? if_null : atoi(PQgetvalue(result, row, column));
}

double
field_double(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NOTHING : strtod(PQgetvalue(result, row, column), NULL);
}

int
random_below(Session *session, int n)
{
	return rand_r(&session->seed) % n;
}

double
random_share(Session *session)
{
	return (1 + random_below(session, 99)) / 100.0;
}

double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

void
pause_until(const Session *session, double when)
{
	while (!atomic_load(&session->load->stop) && seconds_now() < when)
		usleep(2000);
}

int64_t
resident_bytes(int pid)
{
	char		line[200];
	int64_t		kilobytes = -1;
	FILE	   *file;

	snprintf(line, sizeof(line), "/proc/%d/status", pid);
	file = fopen(line, "r");
	if (file == NULL)
		return -1;				/* the server is elsewhere, or has no /proc */
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kilobytes = strtoll(line + 8, NULL, 10);
	fclose(file);
	return kilobytes < 0 ? -1 : kilobytes * 1024;
}

Memory
memory_of(Session *session)
{
	Memory		memory = {-1, resident_bytes(PQbackendPID(session->connection))};

	if (PQserverVersion(session->connection) >= 140000)
		memory.contexts = ask_number(session, "SELECT sum(total_bytes) FROM pg_backend_memory_contexts");
	return memory;
}
