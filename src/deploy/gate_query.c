/*
 * gate_query.c
 *		Gates that are a query of their author's: it answers whether the version
 *		passes, and why.
 *
 * The query gets the model's name as $1 and the version as $2, runs as its
 * author, read-only, on the snapshot of the promotion, in a subtransaction and
 * for a bounded time. Whatever goes wrong in it keeps the gate closed, and is
 * the explanation.
 */
#include "postgres.h"

#include "attempt.h"
#include "catalog/pg_type.h"
#include "deploy/gate.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/plancache.h"
#include "utils/timeout.h"

#define NPARAMS 2

static Oid	parameter_types[NPARAMS] = {TEXTOID, INT4OID};

/* ---- what it must be ---- */

static void
refuse(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the query of a gate must answer whether a version passes"),
			 errdetail("%s", problem),
			 errhint("As in SELECT count(*) > 0, 'predictions of today: ' || count(*) FROM ...; $1 is the model, $2 the version.")));
}

static void
check_result(SPIPlanPtr plan)
{
	List	   *sources = SPI_plan_get_plan_sources(plan);
	TupleDesc	desc;

	if (list_length(sources) != 1)
		refuse(psprintf("There are %d statements.", list_length(sources)));
	desc = ((CachedPlanSource *) linitial(sources))->resultDesc;
	if (desc == NULL)
		refuse("It returns no rows.");
	if (desc->natts > 2)
		refuse(psprintf("It has %d columns: a boolean is asked for, and a text that explains it.", desc->natts));
	if (TupleDescAttr(desc, 0)->atttypid != BOOLOID)
		refuse(psprintf("Its first column is of type %s, not boolean.",
						format_type_be(TupleDescAttr(desc, 0)->atttypid)));
	if (desc->natts == 2 && TupleDescAttr(desc, 1)->atttypid != TEXTOID)
		refuse(psprintf("Its second column is of type %s, not text.",
						format_type_be(TupleDescAttr(desc, 1)->atttypid)));
}

void
ml_gate_check_query(const char *query)
{
	SPIPlanPtr	plan;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	plan = SPI_prepare(query, NPARAMS, parameter_types);
	if (plan == NULL)
		elog(ERROR, "could not prepare the query of a gate: %s", SPI_result_code_string(SPI_result));
	check_result(plan);
	SPI_finish();
}

/* ---- the time it may take ---- */

static TimeoutId timeout_id = MAX_TIMEOUTS;
static volatile sig_atomic_t timed_out = false;
static bool timing = false;

/* in a signal handler: cancels the query as a user would, and says who did */
static void
time_is_up(void)
{
	timed_out = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static void
begin_time(int ms)
{
	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, time_is_up);
	timed_out = false;
	timing = true;
	enable_timeout_after(timeout_id, ms);
}

static void
end_time(void)
{
	disable_timeout(timeout_id, false);
	timing = false;
	if (timed_out)
		QueryCancelPending = false;
}

/* ---- running it ---- */

typedef struct Question
{
	const MlGate *gate;
	const MlGateHearing *hearing;
	MemoryContext cxt;			/* of the answer */
	bool		passed;
	bool		answered;
	char	   *explanation;
} Question;

static void
take_answer(Question *question)
{
	HeapTuple	row = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Datum		answer = SPI_getbinval(row, desc, 1, &isnull);

	if (!isnull)
	{
		question->answered = true;
		question->passed = DatumGetBool(answer);
	}
	if (desc->natts > 1)
	{
		Datum		words = SPI_getbinval(row, desc, 2, &isnull);

		if (!isnull)
			question->explanation = MemoryContextStrdup(question->cxt, TextDatumGetCString(words));
	}
}

static void
ask(void *arg)
{
	Question   *question = arg;
	const MlGate *gate = question->gate;
	MlAuthored	what = {
		.what = psprintf("gate \"%s\"", gate->name),
		.model = question->hearing->model,
		.privilege = ML_PRIVILEGE_OWNER,
		.hint = "The model's owner sets it again with mlops_set_gate.",
	};
	MlAuthorScope scope;
	Datum		values[NPARAMS];
	int			status;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	values[0] = CStringGetTextDatum(question->hearing->model);
	values[1] = Int32GetDatum(question->hearing->version);
	ml_author_enter(&gate->author, &what, &scope);
	status = SPI_execute_with_args(gate->query, NPARAMS, parameter_types, values, NULL, true, 2);
	ml_author_leave(&scope);
	if (status != SPI_OK_SELECT)
		question->explanation = MemoryContextStrdup(question->cxt, "its query is no query any more");
	else if (SPI_processed != 1)
		question->explanation = MemoryContextStrdup(question->cxt, SPI_processed == 0 ?
													"its query returned no row" : "its query returned several rows");
	else
		take_answer(question);
	SPI_finish();
}

static void
answer_late(Question *question)
{
	question->answered = false;
	question->explanation = psprintf("its query took longer than %d ms", question->gate->timeout_ms);
}

/* a gate that is asked by the query of another has what is left of its time */
static ErrorData *
ask_in_time(Question *question)
{
	MemoryContext cxt = CurrentMemoryContext;
	ErrorData  *error = NULL;

	if (timing)
		return ml_attempt(ask, question);
	begin_time(question->gate->timeout_ms);
	PG_TRY();
	{
		error = ml_attempt(ask, question);
	}
	PG_CATCH();
	{
		/* ml_attempt has undone everything */
		bool		ours = timed_out;

		end_time();
		if (!ours)
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
		answer_late(question);
	}
	PG_END_TRY();
	end_time();
	/* a function that catches the cancel goes on, but not to an answer */
	if (timed_out && error == NULL)
		answer_late(question);
	return error;
}

void
ml_gate_query(const MlGate *gate, const MlGateHearing *hearing, MlVerdict *verdict)
{
	Question	question = {0};
	ErrorData  *error;

	question.gate = gate;
	question.hearing = hearing;
	question.cxt = CurrentMemoryContext;
	error = ask_in_time(&question);
	if (error != NULL)
	{
		verdict->ruling = ML_RULING_FAIL;
		verdict->explanation = psprintf("its query failed: %s", error->message);
		return;
	}
	verdict->ruling = question.answered && question.passed ? ML_RULING_PASS : ML_RULING_FAIL;
	verdict->explanation = question.explanation ? question.explanation :
		!question.answered ? "its query answered NULL" :
		question.passed ? "its query answered true" : "its query answered false";
}
