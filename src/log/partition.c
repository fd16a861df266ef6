/*
 * partition.c
 *		The days of the log.
 *
 * mlops_catalog.prediction has one partition a day (UTC) and a default one for
 * rows that have no day, which are those that mlops_score() writes where no
 * log writer runs. Days are tables of schema mlops_data that are no members of
 * the extension, so that pg_dump carries them as it carries any table.
 *
 * Attaching a day locks the default partition against everybody, so it is made
 * in a transaction of its own, a day ahead, and not waited for long: while it
 * cannot be had, rows go to the default partition, from where they are moved
 * when the day is made.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "log/log.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "registry/registry_catalog.h"
#include "settings.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define DATA_SCHEMA		"mlops_data"
#define LOCK_TIMEOUT	"200ms"
#define PREFIX			"prediction_"

/* as small, and as cheap to compare, as one can be that finds a key: rows of a key in a day are few */
#define KEY_INDEX		"(key pg_catalog.text_pattern_ops) WITH (deduplicate_items = off)"

PG_FUNCTION_INFO_V1(mlops_make_log_partitions);
PG_FUNCTION_INFO_V1(mlops_prune_log);

/* the day of a moment in UTC */
static int
day_of(TimestampTz at)
{
	return (int) (at / USECS_PER_DAY) - (at < 0 && at % USECS_PER_DAY != 0 ? 1 : 0);
}

static void
describe_day(int day, char *name, char *from, char *to)
{
	int			year;
	int			month;
	int			mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	snprintf(name, NAMEDATALEN, PREFIX "%04d%02d%02d", year, month, mday);
	snprintf(from, NAMEDATALEN, "%04d-%02d-%02d 00:00:00+00", year, month, mday);
	j2date(day + 1 + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	snprintf(to, NAMEDATALEN, "%04d-%02d-%02d 00:00:00+00", year, month, mday);
}

/* names of days have four digits for the year */
static void
require_day(TimestampTz at)
{
	const TimestampTz first = (TimestampTz) (date2j(1000, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	const TimestampTz last = (TimestampTz) (date2j(9999, 12, 30) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;

	if (at >= first && at < last)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("the log has no days at that time"),
			 errdetail("Its days are of the years 1000 to 9999."),
			 errhint("Give a moment of the years in which predictions were made.")));
}

static bool
has_day(int day)
{
	char		name[NAMEDATALEN];
	char		from[NAMEDATALEN];
	char		to[NAMEDATALEN];

	describe_day(day, name, from, to);
	return OidIsValid(get_relname_relid(name, ml_catalog_namespace(DATA_SCHEMA)));
}

static void
run(const char *sql)
{
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
}

/* inside a scope */
static void
make_day(int day)
{
	char		name[NAMEDATALEN];
	char		from[NAMEDATALEN];
	char		to[NAMEDATALEN];

	describe_day(day, name, from, to);
	run("LOCK TABLE mlops_catalog.prediction_default IN ACCESS EXCLUSIVE MODE");
	run(psprintf("CREATE TABLE " DATA_SCHEMA ".%s (LIKE mlops_catalog.prediction)", name));
	run(psprintf("CREATE INDEX %s_key ON " DATA_SCHEMA ".%s " KEY_INDEX, name, name));
	run(psprintf("WITH moved AS (DELETE FROM mlops_catalog.prediction_default AS d "
				 "WHERE d.at OPERATOR(pg_catalog.>=) '%s'::pg_catalog.timestamptz "
				 "AND d.at OPERATOR(pg_catalog.<) '%s'::pg_catalog.timestamptz RETURNING d.*) "
				 "INSERT INTO " DATA_SCHEMA ".%s SELECT * FROM moved", from, to, name));
	run(psprintf("ALTER TABLE mlops_catalog.prediction ATTACH PARTITION " DATA_SCHEMA ".%s "
				 "FOR VALUES FROM ('%s') TO ('%s')", name, from, to));
	run(psprintf("COMMENT ON TABLE " DATA_SCHEMA ".%s IS 'logged predictions of one day (UTC)'", name));
}

/* inside a scope: who waits for the lock of the log has everybody wait who logs */
static void
do_not_wait(void)
{
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

bool
ml_log_make_partitions(TimestampTz at)
{
	int			day = day_of(at);
	MlRegistryScope scope;

	if (has_day(day) && has_day(day + 1))
		return false;
	ml_registry_enter(&scope);
	do_not_wait();
	for (int d = day; d <= day + 1; d++)
		if (!has_day(d))
			make_day(d);
	ml_registry_leave(&scope);
	return true;
}

/* superusers and the extension's owner look after the log of all models */
static void
require_owner(const char *what)
{
	Oid			owner = ml_catalog_owner();

	if (has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s", what),
			 errdetail("The log holds the predictions of all models; role \"%s\" looks after it.",
					   GetUserNameFromId(owner, false)),
			 errhint("Ask that role, or a superuser.")));
}

/* mlops.make_log_partitions(as_of timestamptz) */
Datum
mlops_make_log_partitions(PG_FUNCTION_ARGS)
{
	require_owner("make partitions of the log");
	ml_registry_require_writable("make partitions of the log");
	require_day(PG_GETARG_TIMESTAMPTZ(0));
	PG_RETURN_BOOL(ml_log_make_partitions(PG_GETARG_TIMESTAMPTZ(0)));
}

/* days that end before the moment, dropped; their number */
static int
drop_days(TimestampTz before)
{
	char		limit[NAMEDATALEN];
	char		from[NAMEDATALEN];
	char		to[NAMEDATALEN];
	uint64		n;
	char	  **name;

	/* names sort as days do */
	describe_day(day_of(before), limit, from, to);
	run(psprintf("SELECT c.relname FROM pg_catalog.pg_inherits AS i "
				 "JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.inhrelid "
				 "WHERE i.inhparent OPERATOR(pg_catalog.=) 'mlops_catalog.prediction'::pg_catalog.regclass "
				 "AND c.relname OPERATOR(pg_catalog.~) '^" PREFIX "[0-9]{8}$' "
				 "AND c.relname OPERATOR(pg_catalog.<) '%s'::pg_catalog.name ORDER BY c.relname", limit));
	n = SPI_processed;
	name = palloc(sizeof(char *) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
		name[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	for (uint64 i = 0; i < n; i++)
		run(psprintf("DROP TABLE " DATA_SCHEMA ".%s", name[i]));
	run(psprintf("DELETE FROM mlops_catalog.prediction_default WHERE at OPERATOR(pg_catalog.<) "
				 "'%s'::pg_catalog.timestamptz", from));
	run(psprintf("DELETE FROM mlops_catalog.shadow_cost WHERE day OPERATOR(pg_catalog.<) "
				 "('%s'::pg_catalog.timestamptz AT TIME ZONE 'UTC')::pg_catalog.date", from));
	run(psprintf("DELETE FROM mlops_catalog.log_gap WHERE at OPERATOR(pg_catalog.<) "
				 "'%s'::pg_catalog.timestamptz", from));
	return (int) n;
}

int
ml_log_prune(int days, TimestampTz as_of, bool wait)
{
	MlRegistryScope scope;
	int			dropped;

	if (days <= 0)
		return 0;
	require_day(as_of);
	require_day(as_of - days * USECS_PER_DAY);
	ml_registry_enter(&scope);
	if (!wait)
		do_not_wait();
	dropped = drop_days(as_of - days * USECS_PER_DAY);
	ml_registry_leave(&scope);
	return dropped;
}

/* mlops_prune_log(keep_days int DEFAULT NULL, as_of timestamptz DEFAULT now()) */
Datum
mlops_prune_log(PG_FUNCTION_ARGS)
{
	int			days = PG_ARGISNULL(0) ? ml_log_retention_days : PG_GETARG_INT32(0);
	TimestampTz as_of = PG_ARGISNULL(1) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(1);

	require_owner("prune the log");
	ml_registry_require_writable("prune the log");
	if (days < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the days to keep must not be negative"),
				 errdetail("They are %d.", days),
				 errhint("Leave them out to keep as many as mlops.log_retention says; 0 keeps all.")));
	PG_RETURN_INT32(ml_log_prune(days, as_of, true));
}
