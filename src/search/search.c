/*
 * search.c
 *		mlops_search: the rungs, and the winner's training.
 *
 * All rungs but the last measure on one fold, the same for all candidates: what
 * chance does to that fold it does to all of them, and the time that the other
 * folds would take is better spent on candidates. The last rung, whose values
 * are what a search reports, measures on every fold.
 *
 * The source is read once. Rows that the winner's training will hold out take
 * no part in the search. The winner becomes a version exactly as mlops_train
 * with its spec would make it, so that it can be retrained and reproduced.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "fmgr.h"
#include "metric/measure.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "registry/search_row.h"
#include "search/search.h"
#include "train/call.h"
#include "json.h"
#include "train/learn_link.h"
#include "train/params.h"
#include "train/procedure.h"
#include "train/retrain.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(mlops_search);

enum
{
	ARG_MODEL, ARG_SPACE, ARG_METRIC, ARG_BUDGET, ARG_SOURCE, ARG_TARGET, ARG_FEATURES, ARG_EXCLUDE,
	ARG_KEY, ARG_TIME_COLUMN, ARG_WEIGHT, ARG_HOLDOUT, ARG_SEED, ARG_OPTIONS, ARG_NOTE,
	ARG_VERSION, ARG_SEARCH
};

/* of the smallest sample: a 27th of the rows, that is three rungs below all of them, but from ... to */
#define FIRST_SHARE		27
#define LEAST_FIRST		200
#define MOST_FIRST		2000

typedef struct Search
{
	MlTraining *training;		/* its spec names no algorithm */
	Jsonb	   *space;			/* NULL: one for the task */
	MlSearchBudget budget;
	Jsonb	   *budget_json;
	char	   *metric_name;	/* NULL: the model's */
	const MlMetric *metric;
	const MlCustomMetric *custom;	/* then metric is what it says of itself; NULL: one of ours */
	bool		resumed;
	pg_uuid_t	id;
	double		started;		/* seconds */
	MlFolds    *folds;
	int			ncandidates;
	MlCandidate *candidate;
	int			nrungs;
	int64		rows[ML_MAX_RUNGS]; /* of the samples */
	bool		out_of_time;
	MlCandidate *best;
} Search;

/* ---- what it is about ---- */

static Jsonb *
write_search(const Search *search)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_key(&json, "train");
	ml_json_jsonb(&json, ml_spec_write(&search->training->spec));
	ml_json_key(&json, "space");
	ml_json_jsonb(&json, search->space);
	ml_json_put_text(&json, "metric", search->metric_name);
	ml_json_key(&json, "budget");
	ml_json_jsonb(&json, search->budget_json);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static Jsonb *
part_of(Jsonb *whole, const char *key)
{
	JsonbValue	value;

	if (!ml_json_find(whole, key, &value) || value.type != jbvBinary)
		return NULL;
	return JsonbValueToJsonb(&value);
}

static void
take_budget(Search *search, Jsonb *json)
{
	MlParamWords words = {"a search", "entry", "budget",
	"For example budget => '{\"candidates\": 50, \"seconds\": 600}'."};
	MlParamSet	set = {ml_search_params, &search->budget};

	search->budget_json = ml_params_parse(&words, json, &set, 1);
}

static void
take_resumed(Search *search)
{
	MlTraining *training = search->training;
	Jsonb	   *json = ml_registry_resume_search(&search->id, training->model);
	JsonbValue	metric;

	ml_spec_read(&training->spec, part_of(json, "train"));
	search->space = part_of(json, "space");
	if (ml_json_find(json, "metric", &metric) && metric.type == jbvString)
		search->metric_name = ml_json_string(&metric);
	take_budget(search, part_of(json, "budget"));
}

static void
check_metric(const char *name)
{
	MlNearest	nearest;

	if (name == NULL || ml_metric_exists(name))
		return;
	ml_nearest_begin(&nearest, name);
	ml_metric_offer(&nearest, ~0U);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("metric \"%s\" does not exist", name),
			 nearest.best != NULL
			 ? errhint("Perhaps you meant \"%s\". See SELECT * FROM mlops_metrics().", nearest.best)
			 : errhint("See SELECT * FROM mlops_metrics().")));
}

/* a registered metric is kept for the length of the search as it was at its start */
static void
choose_metric(Search *search, MlTask task)
{
	const MlTraining *training = search->training;
	const char *name = search->metric_name;
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	if (name == NULL && task == ML_TASK_CLUSTER)
		name = ml_metric_silhouette.name;	/* inertia prefers the most clusters */
	if (name == NULL && training->row != NULL)
		name = training->row->metric;
	search->metric = name != NULL ? ml_metric_find(name) : NULL;
	if (search->metric == NULL)
		search->custom = ml_custom_metric(name);
	if (search->custom != NULL)
		search->metric = ml_custom_as_metric(search->custom);
	if (search->metric == NULL)
		search->metric = ml_metric_default(task);
	if (search->custom != NULL)
		ml_custom_require(training->model, search->custom, (uint32) task);
	else if (search->metric_name != NULL)
		ml_metric_require(training->model, search->metric_name, (uint32) task);
	if (search->metric == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" cannot be searched for", training->algorithm->name),
				 errdetail("Without labels no metric judges its scores."),
				 errhint("Train one with mlops_train; with labelled anomalies, search for a classifier of them: target => ...")));
	MemoryContextSwitchTo(old);
}

/* lists of features name columns that were read as features */
static void
check_features(const Search *search)
{
	const MlFrame *frame = search->training->frame;

	for (int i = 0; i < search->ncandidates; i++)
		for (int f = 0; f < search->candidate[i].nfeatures; f++)
		{
			const char *name = search->candidate[i].features[f];
			int			column = ml_frame_find(frame, name);

			if (column >= 0 && frame->cols[column].role == ML_ROLE_FEATURE)
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("\"%s\" is not among the features of the search", name),
					 errdetail(column < 0 ? "The source has no such column." : "The column is the target, the key, the weight, the time, or excluded."),
					 errhint("List columns of the source that are neither its target nor excluded.")));
		}
}

/* ---- rungs ---- */

/* As many as the candidates allow, so that about one is left at the last, and the rows. */
static void
plan_rungs(Search *search)
{
	int64		all = ml_folds_training_rows(search->folds);
	int64		reduction = search->budget.reduction;
	int64		candidates = search->ncandidates;
	int64		rows = all;
	int64		first = search->budget.first_rows;

	if (first == 0)
		first = Max(LEAST_FIRST, Min(MOST_FIRST, all / FIRST_SHARE));
	search->nrungs = 1;
	while (search->nrungs < ML_MAX_RUNGS && candidates > reduction &&
		   rows / reduction >= first)
	{
		search->nrungs++;
		candidates = (candidates + reduction - 1) / reduction;
		rows /= reduction;
	}
	for (int r = search->nrungs - 1; r >= 0; r--)
	{
		search->rows[r] = all;
		all /= reduction;
	}
}

/* rungs up to the last one that it was measured at: NaN stands for a sample that could not be fitted */
static int
reached(const MlCandidate *candidate)
{
	int			n = candidate->nrungs;

	while (n > 0 && isnan(candidate->value[n - 1]))
		n--;
	return n;
}

static double
latest(const MlCandidate *candidate)
{
	return candidate->value[reached(candidate) - 1];
}

/* the better first; those that got further before the others; earlier numbers first */
static int
compare_candidates(const void *a, const void *b, void *arg)
{
	const MlMetric *metric = arg;
	const MlCandidate *x = *(MlCandidate *const *) a;
	const MlCandidate *y = *(MlCandidate *const *) b;

	if (reached(x) != reached(y))
		return reached(y) - reached(x);
	if (reached(x) > 0 && latest(x) != latest(y))
		return (latest(x) > latest(y)) == metric->higher_is_better ? -1 : 1;
	return x->number - y->number;
}

/* those that are alive, the best first */
static MlCandidate **
ranking(const Search *search, int *n)
{
	MlCandidate **ranked = palloc(sizeof(MlCandidate *) * Max(search->ncandidates, 1));

	*n = 0;
	for (int i = 0; i < search->ncandidates; i++)
		if (search->candidate[i].state == ML_CANDIDATE_ALIVE)
			ranked[(*n)++] = &search->candidate[i];
	qsort_arg(ranked, *n, sizeof(MlCandidate *), compare_candidates, unconstify(MlMetric *, search->metric));
	return ranked;
}

static bool
time_is_up(Search *search)
{
	if (search->budget.seconds > 0 && ml_training_seconds() - search->started >= search->budget.seconds)
		search->out_of_time = true;
	return search->out_of_time;
}

static void
commit(const Search *search)
{
	if (!search->training->atomic)
		ml_procedure_commit();
}

/* of a candidate, at a sample; what it got before is not measured again */
static void
measure(Search *search, MlCandidate *candidate, int rung)
{
	MlTrialPlan plan = {search->folds, rung == search->nrungs - 1, search->rows[rung], search->metric->name, search->custom};
	double		value;
	char	   *message;

	if (candidate->nrungs > rung)
		return;
	message = ml_trial(search->training, candidate, &plan, &value);
	if (message == NULL)
	{
		candidate->value[candidate->nrungs++] = value;
		ml_registry_report_candidate(&candidate->run, search->rows[rung], search->metric->name,
									 candidate->value, candidate->nrungs);
	}
	else if (rung < search->nrungs - 1)
		candidate->value[candidate->nrungs++] = NAN;	/* a larger sample may do: a rare category says little */
	else
	{
		candidate->state = ML_CANDIDATE_FAILED;
		ml_registry_end_candidate(&candidate->run, ML_SEARCHED_FAILED, message);
	}
	commit(search);
}

static void
drop(Search *search, MlCandidate *candidate, const char *reason)
{
	candidate->state = ML_CANDIDATE_DROPPED;
	ml_registry_end_candidate(&candidate->run, ML_SEARCHED_DROPPED, reason);
}

/* of those that were measured at a rung, the best go on; so do those whose sample could not be fitted */
static void
halve(Search *search, int rung)
{
	int			n;
	MlCandidate **ranked = ranking(search, &n);
	int			left;

	while (n > 0 && reached(ranked[n - 1]) <= rung)
		n--;
	left = (int) ((n + search->budget.reduction - 1) / search->budget.reduction);
	for (int i = left; i < n; i++)
		drop(search, ranked[i],
			 psprintf("%s %.4g on samples of " INT64_FORMAT " rows: number %d of %d, %d went on",
					  search->metric->name, latest(ranked[i]), search->rows[rung], i + 1, n, left));
	commit(search);
}

static void
run_rungs(Search *search)
{
	for (int rung = 0; rung < search->nrungs && !search->out_of_time; rung++)
	{
		for (int i = 0; i < search->ncandidates; i++)
		{
			MlCandidate *candidate = &search->candidate[i];

			CHECK_FOR_INTERRUPTS();
			if (candidate->state != ML_CANDIDATE_ALIVE)
				continue;
			if (time_is_up(search))
				break;
			if (search->training->report != NULL)
				search->training->report(search->training,
										 psprintf("rung %d of %d", rung + 1, search->nrungs),
										 i, search->ncandidates, NAN);
			measure(search, candidate, rung);
		}
		if (!search->out_of_time && rung < search->nrungs - 1)
			halve(search, rung);
	}
}

static void
refuse_all(Search *search)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("no candidate of the search could be measured"),
			 errdetail("There were %d; the time budget was%s used up.", search->ncandidates,
					   search->out_of_time ? "" : " not"),
			 errhint("See SELECT candidate, algorithm, message FROM mlops.run WHERE search = '%s'.",
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&search->id))))));
}

static void
close_candidates(Search *search)
{
	int			n;
	MlCandidate **ranked = ranking(search, &n);

	if (n == 0 || reached(ranked[0]) == 0)
		refuse_all(search);
	search->best = ranked[0];
	for (int i = 0; i < n; i++)
	{
		if (reached(ranked[i]) < reached(search->best))
			drop(search, ranked[i], psprintf("not measured: %g seconds were used up", search->budget.seconds));
		else
			ml_registry_end_candidate(&ranked[i]->run, ML_SEARCHED_FINISHED,
									  psprintf("%s %.4g: number %d of %d at the end", search->metric->name,
											   latest(ranked[i]), i + 1, n));
	}
}

/* ---- candidates ---- */

static void
start_candidates(Search *search)
{
	MlSearchedRow *known = NULL;
	int			nknown = 0;

	if (search->resumed)
		known = ml_registry_candidates(&search->id, &nknown);
	for (int i = 0; i < search->ncandidates; i++)
	{
		MlCandidate *candidate = &search->candidate[i];
		MlSpec		spec = search->training->spec;

		if (i < nknown && known[i].number == candidate->number)
		{
			candidate->run = known[i].run;
			candidate->nrungs = known[i].nrungs;
			memcpy(candidate->value, known[i].value, sizeof(candidate->value));
			candidate->state = known[i].status == ML_SEARCHED_DROPPED ? ML_CANDIDATE_DROPPED
				: known[i].status == ML_SEARCHED_FAILED ? ML_CANDIDATE_FAILED : ML_CANDIDATE_ALIVE;
			if (candidate->state == ML_CANDIDATE_ALIVE)
				ml_registry_end_candidate(&candidate->run, ML_SEARCHED_RUNNING, NULL);
			continue;
		}
		ml_candidate_spec(candidate, &spec);
		ml_registry_start_candidate(&candidate->run, &search->id, search->training->model,
									candidate->number, candidate->algorithm, ml_spec_write(&spec));
	}
	commit(search);
}

static void
prepare(Search *search)
{
	MlTraining *training = search->training;
	const MlFrame *frame = training->frame;
	MlTask		task = frame->target_column < 0 ? (MlTask) training->algorithm->tasks :
		ml_target_task(frame, frame->target_column, 0);

	choose_metric(search, task);
	search->candidate = ml_space_candidates(search->space, task, &search->budget, training->spec.seed,
											&search->ncandidates);
	check_features(search);
	search->folds = ml_folds_make(training, (int) search->budget.folds);
	plan_rungs(search);
	start_candidates(search);
}

/* ---- the whole ---- */

static char *
verdict(const Search *search)
{
	return psprintf("candidate %d is the best: %s %.4g", search->best->number,
					search->metric->name, latest(search->best));
}

/* Candidates that learn from features alone need no target: whether it is missing depends on the algorithm. */
static void
check_training(Search *search)
{
	MlTraining *training = search->training;

	if (training->spec.target == NULL && search->space != NULL)
		training->spec.algorithm = ml_space_without_target(search->space);
	ml_training_check(training);
	training->spec.algorithm = NULL;
}

static void
phases(MlTraining *training, void *arg)
{
	Search	   *search = arg;

	if (search->resumed)
		take_resumed(search);
	check_training(search);
	if (!search->resumed)
		ml_registry_start_search(&search->id, training->model, write_search(search));
	training->run = search->id;
	training->has_run = true;
	if (!training->atomic)
	{
		ml_procedure_commit();
		training->report = ml_procedure_report;
	}
	ml_training_read(training);
	if (!training->atomic)
		ml_procedure_commit();
	MemoryContextSwitchTo(training->cxt);
	ml_training_arrange(training);
	prepare(search);
	run_rungs(search);
	close_candidates(search);
	ml_registry_end_run(&search->id, ML_RUN_FINISHED, 0, NULL, verdict(search));
	commit(search);
}

static void
tell(const Search *search)
{
	const MlCandidate *best = search->best;
	char	   *samples = psprintf(INT64_FORMAT, search->rows[0]);

	if (search->nrungs > 1)
		samples = psprintf("samples of %s to " INT64_FORMAT, samples, search->rows[search->nrungs - 1]);
	ereport(NOTICE,
			(errmsg("search of model \"%s\": %d candidates, %s rows, %d folds; candidate %d is the best, %s%s%s, %s %.3f",
					search->training->model, search->ncandidates, samples, search->folds->n, best->number, best->algorithm,
					JB_ROOT_COUNT(best->params) > 0 ? " with " : "",
					JB_ROOT_COUNT(best->params) > 0 ? ml_json_show_jsonb(best->params) : "",
					search->metric->name, latest(best))));
}

/* a training of the winner, as mlops_train would */
static int
train_best(Search *search, MemoryContext parent, char *note)
{
	MlTraining *winner = ml_training_begin(parent, search->training->model);
	MemoryContext old = MemoryContextSwitchTo(winner->cxt);
	MlSpec		spec = search->training->spec;
	int			version;

	ml_candidate_spec(search->best, &spec);
	ml_spec_read(&winner->spec, ml_spec_write(&spec));
	winner->note = note != NULL ? pstrdup(note) : NULL;
	MemoryContextSwitchTo(old);
	version = ml_training_run(winner, false, search->training->atomic);
	ml_training_end(winner);
	return version;
}

/* What the spec of the active version says cannot be said again beside it. */
static void
refuse_beside_spec(FunctionCallInfo fcinfo)
{
	static const char *const name[] = {
		[ARG_TARGET] = "target", [ARG_FEATURES] = "features", [ARG_EXCLUDE] = "exclude", [ARG_KEY] = "key",
		[ARG_TIME_COLUMN] = "time_column", [ARG_WEIGHT] = "weight"
	};
	const char *given = NULL;

	for (int i = ARG_TARGET; i <= ARG_WEIGHT; i++)
		if (!PG_ARGISNULL(i))
			given = name[i];
	if (!PG_ARGISNULL(ARG_HOLDOUT) && PG_GETARG_FLOAT8(ARG_HOLDOUT) != ML_DEFAULT_HOLDOUT)
		given = "holdout";
	if (!PG_ARGISNULL(ARG_SEED) && PG_GETARG_INT64(ARG_SEED) != ML_DEFAULT_SEED)
		given = "seed";
	if (!PG_ARGISNULL(ARG_OPTIONS) && JB_ROOT_COUNT(PG_GETARG_JSONB_P(ARG_OPTIONS)) > 0)
		given = "options";
	if (given != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" was given without a \"source\"", given),
				 errdetail("A search without a source has all of its spec from the active version."),
				 errhint("Give the source too, or leave \"%s\" out.", given)));
}

/* the source given, or that of what is active */
static void
take_spec(FunctionCallInfo fcinfo, Search *search)
{
	MlTraining *training = search->training;
	MlSpec	   *spec = &training->spec;
	Jsonb	   *options = ml_call_jsonb(fcinfo, ARG_OPTIONS);
	MlVersionFacts facts;

	spec->options.refit = true;
	if (PG_ARGISNULL(ARG_SOURCE))
	{
		refuse_beside_spec(fcinfo);
		ml_retrain_prepare(training, training->model, NULL, &facts);
		spec->params = NULL;
		spec->algorithm = NULL;
		spec->options.refit = true;
		return;
	}
	spec->source = ml_argument_text(fcinfo, ARG_SOURCE);
	spec->target = ml_argument_text(fcinfo, ARG_TARGET);
	spec->features = ml_call_names(fcinfo, ARG_FEATURES, "features", &spec->nfeatures);
	spec->exclude = ml_call_names(fcinfo, ARG_EXCLUDE, "exclude", &spec->nexclude);
	spec->key = ml_argument_text(fcinfo, ARG_KEY);
	spec->time_column = ml_argument_text(fcinfo, ARG_TIME_COLUMN);
	spec->weight = ml_argument_text(fcinfo, ARG_WEIGHT);
	if (!PG_ARGISNULL(ARG_HOLDOUT))
		spec->holdout = PG_GETARG_FLOAT8(ARG_HOLDOUT);
	if (!PG_ARGISNULL(ARG_SEED))
		spec->seed = PG_GETARG_INT64(ARG_SEED);
	if (options != NULL)
	{
		JsonbValue	refit;

		ml_spec_take_options(spec, options);
		if (!ml_json_find(options, "refit", &refit))
			spec->options.refit = true;
	}
}

/*
 * CALL mlops_search(model, space, metric, budget, source, target, features,
 * exclude, key, time_column, weight, holdout, seed, options, note, version,
 * search): version and search are results; a search that is given goes on.
 */
Datum
mlops_search(PG_FUNCTION_ARGS)
{
	Search		search = {0};
	MemoryContext parent = ml_call_is_atomic(fcinfo) ? CurrentMemoryContext : PortalContext;
	MlTraining *training = ml_call_begin(fcinfo);
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	Datum		values[2];
	bool		nulls[2] = {false, false};
	pg_uuid_t  *id;
	char	   *note;
	int			version;

	search.training = training;
	search.started = ml_training_seconds();
	search.space = ml_call_jsonb(fcinfo, ARG_SPACE);
	search.metric_name = ml_argument_text(fcinfo, ARG_METRIC);
	check_metric(search.metric_name);
	take_budget(&search, ml_call_jsonb(fcinfo, ARG_BUDGET));
	search.resumed = !PG_ARGISNULL(ARG_SEARCH);
	if (search.resumed)
		search.id = *PG_GETARG_UUID_P(ARG_SEARCH);
	else
		take_spec(fcinfo, &search);
	note = ml_argument_text(fcinfo, ARG_NOTE);
	MemoryContextSwitchTo(old);

	ml_procedure_run(training, ml_call_is_atomic(fcinfo), phases, &search);
	tell(&search);
	version = train_best(&search, parent, note);
	ml_registry_end_run(&search.id, ML_RUN_FINISHED, version, NULL, verdict(&search));
	values[0] = Int32GetDatum(version);
	id = MemoryContextAlloc(parent, sizeof(pg_uuid_t));
	*id = search.id;
	values[1] = UUIDPGetDatum(id);
	ml_training_end(training);
	return ml_call_result(fcinfo, values, nulls);
}
