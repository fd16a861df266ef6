/*
 * load.h
 *		What the parts of the load driver share: sessions, each with a thread
 *		and a connection of its own, and how something that is wrong is told.
 */
#ifndef LOAD_H
#define LOAD_H

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MODEL		"load"
#define VISITORS	2000		/* rows of the table; key 1 to this, kind = key % KINDS */
#define KINDS		10
/* number r says RULED + r where kind is 0, and nothing where kind is BARRED; else a version says its own number */
#define RULE_SETS	3
#define RULED		1000000
#define BARRED		(KINDS - 1)
#define NOTHING		(-1)		/* as field_double reads NULL */
#define FIRST_VERSIONS 8		/* trained before the run */
#define NEWEST		6			/* versions that may be promoted, or be shadows */

typedef struct Load
{
	const char *connection;
	double		seconds;
	double		rate;			/* decisions a second */
	int			scorers;
	atomic_bool	stop;
	atomic_int	failures;
} Load;

/* how much memory a process has */
typedef struct Memory
{
	int64_t		contexts;		/* bytes, by its own account; -1: not known */
	int64_t		resident;		/* bytes of its own, not shared; -1: not known */
} Memory;

typedef struct Session
{
	Load	   *load;
	const char *name;
	int			number;
	PGconn	   *connection;
	unsigned	seed;
	bool		prepared;
	int64_t		statements;
	int64_t		rows;
	int64_t		changed;		/* statements during which what serves changed */
	int64_t		refused;		/* expected errors: somebody was quicker */
	Memory		before;			/* after a third of the time */
	Memory		after;
} Session;

/* ---- session.c ---- */

extern void fail(Load *load, const char *format, ...) __attribute__((format(printf, 2, 3)));

extern bool open_session(Session *session, Load *load, const char *name, int number);

/*
 * Runs a statement; NULL if it failed. An error whose SQLSTATE is in expected
 * (NULL: none) is counted, any other is a failure of the run.
 */
extern PGresult *ask(Session *session, const char *sql, const char *expected);
extern PGresult *ask_prepared(Session *session, const char *statement, int parameter);

/* of a statement that gives one number; 0 if it failed */
extern int64_t ask_number(Session *session, const char *sql);

/* of a field: NULL is if_null, or NOTHING */
extern int	field_int(const PGresult *result, int row, int column, int if_null);
extern double field_double(const PGresult *result, int row, int column);

extern double random_share(Session *session);	/* 0.01 to 0.99 */
extern int	random_below(Session *session, int n);
extern double seconds_now(void);
extern void pause_until(const Session *session, double when);
extern Memory memory_of(Session *session);
extern int64_t resident_bytes(int pid);

/* ---- position.c: where keys and rows lie, by the formulas of docs/canary.md and docs/shadows.md alone ---- */

extern uint64_t salt_seed(const char *salt);
extern uint64_t sample_seed(const char *model);	/* of the log's samples */
extern double position_of(const void *bytes, size_t length, uint64_t seed);

/* ---- the threads ---- */

extern void *score(void *session);	/* score.c */
extern void *decide(void *session);	/* decide.c */
extern void *train(void *session);
extern void *drop(void *session);
extern void *shade(void *session);	/* shadows.c */

/* ---- check.c: what the log has against the history ---- */

extern void check_log(Session *session);
extern void check_shadows(Session *session);	/* shadows.c */

#endif							/* LOAD_H */
