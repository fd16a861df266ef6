/*
 * retraining_policy.c
 *		Policies of training again, in and out of their table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

void
ml_retrain_store_policy(const MlRetrainPolicy *policy, Jsonb *settings)
{
	static MlStatement upsert = {
		"INSERT INTO mlops_catalog.retraining_policy (model, every, new_labels, drop, changes, promote, period, time_column, "
		"label_delay, pause, live_period, min_rows, author, settings, as_of, time_unit, time_origin) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (model) DO UPDATE SET "
		"every = EXCLUDED.every, new_labels = EXCLUDED.new_labels, drop = EXCLUDED.drop, changes = EXCLUDED.changes, "
		"promote = EXCLUDED.promote, period = EXCLUDED.period, time_column = EXCLUDED.time_column, "
		"label_delay = EXCLUDED.label_delay, pause = EXCLUDED.pause, live_period = EXCLUDED.live_period, "
		"min_rows = EXCLUDED.min_rows, author = EXCLUDED.author, settings = EXCLUDED.settings, as_of = EXCLUDED.as_of, "
		"time_unit = EXCLUDED.time_unit, time_origin = EXCLUDED.time_origin, set_at = pg_catalog.clock_timestamp()"
	};
	MlArguments args = {0};

	ml_bind_text(&args, policy->model);
	ml_bind_interval(&args, policy->every);
	ml_bind_int8_or_null(&args, policy->new_labels, policy->new_labels == 0);
	ml_bind_float(&args, policy->drop);
	ml_bind_jsonb(&args, policy->changes);
	ml_bind_bool(&args, policy->promote);
	ml_bind_interval(&args, policy->period);
	ml_bind_text(&args, policy->time_column);
	ml_bind_interval(&args, policy->label_delay);
	ml_bind_interval(&args, policy->pause);
	ml_bind_interval(&args, policy->live_period);
	ml_bind_int8(&args, policy->min_rows);
	ml_bind_text(&args, policy->author.role);
	ml_bind_jsonb(&args, settings);
	ml_bind_time(&args, policy->as_of);
	ml_bind_interval(&args, policy->time_unit);
	ml_bind_datum(&args, TIMESTAMPTZOID, TimestampTzGetDatum(policy->time_origin), policy->time_unit == NULL);
	ml_registry_run(&upsert, &args);
}

/* ---- out of it ---- */

static Jsonb *
take_jsonb(int column)
{
	bool		isnull;

	return DatumGetJsonbPCopy(ml_result_datum(0, column, &isnull));
}

static MlRetrainPolicy *
take_policy(void)
{
	MlRetrainPolicy *policy = palloc0(sizeof(MlRetrainPolicy));

	policy->model = ml_result_text(0, 1);
	policy->every = ml_result_interval(0, 2);
	policy->new_labels = ml_result_int8(0, 3);
	policy->drop = ml_result_float(0, 4);
	policy->changes = take_jsonb(5);
	policy->promote = ml_result_bool(0, 6);
	policy->period = ml_result_interval(0, 7);
	policy->time_column = ml_result_text(0, 8);
	policy->label_delay = ml_result_interval(0, 9);
	policy->pause = ml_result_interval(0, 10);
	policy->live_period = ml_result_interval(0, 11);
	policy->min_rows = ml_result_int8(0, 12);
	ml_author_read(&policy->author, ml_result_text(0, 13), take_jsonb(14));
	policy->as_of = ml_result_time(0, 15);
	policy->time_unit = ml_result_interval(0, 16);
	policy->time_origin = policy->time_unit != NULL ? ml_result_time(0, 17) : 0;
	return policy;
}

#define SELECT_POLICY \
	"SELECT model, every, new_labels, drop, changes, promote, period, time_column, label_delay, pause, live_period, " \
	"min_rows, author, settings, as_of, time_unit, time_origin FROM mlops_catalog.retraining_policy WHERE model OPERATOR(pg_catalog.=) $1"

static MlRetrainPolicy *
find_policy(MlStatement *select, const char *model)
{
	MemoryContext caller = CurrentMemoryContext;
	MlRetrainPolicy *policy = NULL;
	MlArguments args = {0};
	MlRegistryScope scope;

	ml_bind_text(&args, model);
	ml_registry_enter(&scope);
	if (ml_statement_run(select, &args) > 0)
	{
		MemoryContext inside = MemoryContextSwitchTo(caller);

		policy = take_policy();
		MemoryContextSwitchTo(inside);
	}
	ml_registry_leave(&scope);
	return policy;
}

MlRetrainPolicy *
ml_retrain_lock_policy(const char *model)
{
	static MlStatement select = {SELECT_POLICY " FOR NO KEY UPDATE SKIP LOCKED"};

	return find_policy(&select, model);
}

bool
ml_retrain_has_policy(const char *model)
{
	static MlStatement select = {SELECT_POLICY};

	return find_policy(&select, model) != NULL;
}

List *
ml_retrain_models(void)
{
	static MlStatement select = {"SELECT model FROM mlops_catalog.retraining_policy ORDER BY model"};
	MlArguments args = {0};

	return ml_registry_texts(&select, &args);
}
