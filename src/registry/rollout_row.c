/*
 * rollout_row.c
 *		The rows of rollouts and of their steps.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "registry/registry_catalog.h"
#include "registry/rollout_row.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define EQ " OPERATOR(pg_catalog.=) "

const char *const ml_compare_names[ML_NCOMPARE] = {
	[ML_COMPARE_NO_WORSE] = "no worse",
	[ML_COMPARE_BETTER] = "better",
	[ML_COMPARE_OFF] = "off",
};

/* ---- reading ---- */

static MlRolloutCompare
compare_of(const char *name)
{
	for (int i = 0; i < ML_NCOMPARE; i++)
		if (strcmp(ml_compare_names[i], name) == 0)
			return i;
	elog(ERROR, "unknown comparison \"%s\" of a rollout", name);
	return ML_COMPARE_OFF;
}

static void
read_step(uint64 row, MlRolloutStep *step)
{
	step->name = ml_result_text(row, 1);
	step->share = ml_result_float(row, 2);
	step->min_time = ml_result_interval(row, 3);
	step->min_rows = ml_result_int8(row, 4);
	step->min_outcomes = ml_result_int8(row, 5);
	step->gate = ml_result_texts(row, 6, &step->ngates);
	step->compare = compare_of(ml_result_text(row, 7));
}

/* within a scope; memory of the caller */
static void
read_steps(MlRollout *rollout, MemoryContext caller)
{
	static MlStatement select = {
		"SELECT name, share, min_time, min_rows, min_outcomes, gates, compare FROM mlops_catalog.rollout_step "
		"WHERE model" EQ "$1 AND rollout" EQ "$2 ORDER BY step"
	};
	MlArguments args = {0};
	MemoryContext spi;

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	rollout->nsteps = (int) ml_statement_run(&select, &args);
	spi = MemoryContextSwitchTo(caller);
	rollout->steps = palloc0(sizeof(MlRolloutStep) * rollout->nsteps);
	for (int i = 0; i < rollout->nsteps; i++)
		read_step(i, &rollout->steps[i]);
	MemoryContextSwitchTo(spi);
}

static MlRollout *
read_rollout(const char *model)
{
	MlRollout  *rollout = palloc0(sizeof(MlRollout));

	rollout->model = pstrdup(model);
	rollout->number = ml_result_int(0, 1, 0);
	rollout->version = ml_result_int(0, 2, 0);
	rollout->author = ml_result_text(0, 3);
	rollout->step = ml_result_int(0, 4, 0);
	rollout->deployment = ml_result_int(0, 5, 0);
	rollout->entered_at = ml_result_time(0, 6);
	rollout->looked_at = ml_result_time(0, 7);
	return rollout;
}

MlRollout *
ml_registry_rollout(const char *model)
{
	static MlStatement select = {
		"SELECT r.number, r.version, r.author, r.step, s.deployment, s.entered_at, r.looked_at "
		"FROM mlops_catalog.rollout AS r JOIN mlops_catalog.rollout_step AS s "
		"ON s.model" EQ "r.model AND s.rollout" EQ "r.number AND s.step" EQ "r.step "
		"WHERE r.model" EQ "$1 AND r.state" EQ "'running'"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlRollout  *rollout = NULL;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		rollout = read_rollout(model);
		MemoryContextSwitchTo(spi);
		read_steps(rollout, caller);
	}
	ml_registry_leave(&scope);
	return rollout;
}

List *
ml_registry_rollout_models(void)
{
	static MlStatement select = {
		"SELECT model FROM mlops_catalog.rollout WHERE state" EQ "'running' ORDER BY model"
	};
	MlArguments args = {0};

	return ml_registry_texts(&select, &args);
}

/* ---- beginning ---- */

static void
insert_step(const MlRollout *rollout, int i)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.rollout_step (model, rollout, step, name, share, min_time, min_rows, min_outcomes, gates, compare) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	};
	const MlRolloutStep *step = &rollout->steps[i];
	MlArguments args = {0};

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	ml_bind_int(&args, i + 1);
	ml_bind_text(&args, step->name);
	ml_bind_float(&args, step->share);
	ml_bind_interval(&args, step->min_time);
	ml_bind_int8(&args, step->min_rows);
	ml_bind_int8(&args, step->min_outcomes);
	ml_bind_texts(&args, step->gate, step->ngates, false);
	ml_bind_text(&args, ml_compare_names[step->compare]);
	ml_statement_run(&insert, &args);
}

/* within a scope: the step that is entered; as_of in $3 */
static void
enter_step(const MlRollout *rollout, int step, int deployment, TimestampTz as_of)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.rollout_step SET entered_at = $3, deployment = $4 "
		"WHERE model" EQ "$1 AND rollout" EQ "$2 AND step" EQ "$5"
	};
	MlArguments args = {0};

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	ml_bind_time(&args, as_of);
	ml_bind_int(&args, deployment);
	ml_bind_int(&args, step);
	ml_statement_run(&update, &args);
}

static void
refuse_second(const char *model)
{
	static MlStatement select = {
		"SELECT pg_catalog.format('Rollout %s brings version %s out since %s.', r.number, r.version, r.created_at) "
		"FROM mlops_catalog.rollout AS r WHERE r.model" EQ "$1 AND r.state" EQ "'running'"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	if (ml_statement_run(&select, &args) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a rollout of model \"%s\" runs already", model),
			 errdetail_internal("%s", ml_result_text(0, 1)),
			 errhint("Wait for it, or end it with mlops_stop_rollout(%s).", quote_literal_cstr(model))));
}

int
ml_registry_add_rollout(const MlRollout *rollout, const char *reason, TimestampTz as_of)
{
	static MlStatement insert = {
		"INSERT INTO mlops_catalog.rollout (model, number, version, author, step, reason, created_at, looked_at) "
		"SELECT $1, COALESCE(pg_catalog.max(r.number), 0) OPERATOR(pg_catalog.+) 1, $2, $3, 1, $4, $5, $5 "
		"FROM mlops_catalog.rollout AS r WHERE r.model" EQ "$1 RETURNING number"
	};
	MlRollout	added = *rollout;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->version);
	ml_bind_text(&args, rollout->author);
	ml_bind_text(&args, reason);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	(void) ml_serving_lock(rollout->model);
	refuse_second(rollout->model);
	ml_statement_run(&insert, &args);
	added.number = ml_result_int(0, 1, 0);
	for (int i = 0; i < rollout->nsteps; i++)
		insert_step(&added, i);
	enter_step(&added, 1, rollout->deployment, as_of);
	ml_registry_leave(&scope);
	return added.number;
}

/* ---- moving on ---- */

bool
ml_registry_lock_rollout(const MlRollout *rollout)
{
	static MlStatement lock = {
		"SELECT 1 FROM mlops_catalog.rollout AS r WHERE r.model" EQ "$1 AND r.number" EQ "$2 "
		"AND r.state" EQ "'running' AND r.step" EQ "$3 FOR UPDATE"
	};
	static MlStatement newest = {
		"SELECT 1 FROM mlops_catalog.deployment AS d WHERE d.model" EQ "$1 "
		"HAVING pg_catalog.max(d.number)" EQ "$2"
	};
	MlArguments row = {0};
	MlArguments deployed = {0};
	MlRegistryScope scope;
	bool		result;

	ml_bind_text(&row, rollout->model);
	ml_bind_int(&row, rollout->number);
	ml_bind_int(&row, rollout->step);
	ml_bind_text(&deployed, rollout->model);
	ml_bind_int(&deployed, rollout->deployment);
	ml_registry_enter(&scope);
	(void) ml_serving_lock(rollout->model);
	result = ml_statement_run(&lock, &row) > 0 && ml_statement_run(&newest, &deployed) > 0;
	ml_registry_leave(&scope);
	return result;
}

/* within a scope: what was seen of the present step; at its end also when */
static void
put_seen(const MlRollout *rollout, Jsonb *seen, TimestampTz left_at, const char *verdict)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.rollout_step SET seen = COALESCE($4, seen), left_at = $5, verdict = $6 "
		"WHERE model" EQ "$1 AND rollout" EQ "$2 AND step" EQ "$3"
	};
	MlArguments args = {0};

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	ml_bind_int(&args, rollout->step);
	ml_bind_jsonb(&args, seen);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(left_at), verdict == NULL);
	ml_bind_text(&args, verdict);
	ml_statement_run(&update, &args);
}

void
ml_registry_rollout_waits(const MlRollout *rollout, const char *why, Jsonb *seen, TimestampTz as_of)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.rollout SET looked_at = $3, waits_for = $4 "
		"WHERE model" EQ "$1 AND number" EQ "$2 AND state" EQ "'running' AND step" EQ "$5"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	ml_bind_time(&args, as_of);
	ml_bind_text(&args, why);
	ml_bind_int(&args, rollout->step);
	ml_registry_enter(&scope);
	if (ml_statement_run(&update, &args) > 0)
		put_seen(rollout, seen, 0, NULL);
	ml_registry_leave(&scope);
}

void
ml_registry_rollout_moves(const MlRollout *rollout, int deployment, Jsonb *seen, TimestampTz as_of)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.rollout SET step = $3, looked_at = $4, waits_for = NULL, "
		"state = CASE WHEN $5 THEN 'finished' ELSE 'running' END, ended_at = CASE WHEN $5 THEN $4 END "
		"WHERE model" EQ "$1 AND number" EQ "$2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	ml_bind_int(&args, rollout->step + 1);
	ml_bind_time(&args, as_of);
	ml_bind_bool(&args, rollout->step + 1 == rollout->nsteps);
	ml_registry_enter(&scope);
	put_seen(rollout, seen, as_of, "passed");
	enter_step(rollout, rollout->step + 1, deployment, as_of);
	ml_statement_run(&update, &args);
	ml_registry_leave(&scope);
}

bool
ml_registry_end_rollout(const MlRollout *rollout, const char *state, const char *reason, Jsonb *seen, TimestampTz as_of)
{
	static MlStatement update = {
		"UPDATE mlops_catalog.rollout SET state = $3, ended_at = $4, end_reason = $5, waits_for = NULL "
		"WHERE model" EQ "$1 AND number" EQ "$2 AND state" EQ "'running'"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	bool		ended;

	ml_bind_text(&args, rollout->model);
	ml_bind_int(&args, rollout->number);
	ml_bind_text(&args, state);
	ml_bind_time(&args, as_of);
	ml_bind_text(&args, reason);
	ml_registry_enter(&scope);
	ended = ml_statement_run(&update, &args) > 0;
	if (ended)
		put_seen(rollout, seen, as_of, strcmp(state, "rolled back") == 0 ? "failed" : "stopped");
	ml_registry_leave(&scope);
	return ended;
}

/* ---- what was deployed last ---- */

char *
ml_registry_newest_deployment(const char *model, int *number)
{
	static MlStatement select = {
		"SELECT d.number, pg_catalog.format('deployment %s: %s %s version %s%s%s', d.number, d.deployed_by, "
		"CASE d.action WHEN 'rollback' THEN 'rolled back to' ELSE 'promoted' END, d.version, "
		"CASE WHEN d.share OPERATOR(pg_catalog.<) 1 THEN pg_catalog.format(' for %s of the rows', d.share) END, "
		"': ' OPERATOR(pg_catalog.||) d.reason) FROM mlops_catalog.deployment AS d "
		"WHERE d.model" EQ "$1 ORDER BY d.number DESC LIMIT 1"
	};
	MemoryContext caller = CurrentMemoryContext;
	MlArguments args = {0};
	MlRegistryScope scope;
	char	   *words = NULL;

	*number = 0;
	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		*number = ml_result_int(0, 1, 0);
		words = ml_result_text(0, 2);
		MemoryContextSwitchTo(spi);
	}
	ml_registry_leave(&scope);
	return words;
}
