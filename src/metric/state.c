/*
 * state.c
 *		The type mlops.metric_state: between bytes and an expanded object.
 *
 * What comes in is read as if nobody vouched for it: the header is checked
 * here, the rest by the body of its kind.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "errors.h"
#include "image.h"
#include "metric/state.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAGIC			"\x89MLE\r\n\x1a\n"
#define MAGIC_LENGTH	8
#define FORMAT			1

/* where the fields of the header are */
#define AT_FORMAT		8
#define AT_KIND			12
#define AT_UNIT			16
#define AT_PARAMETER	24
#define AT_NROWS		32
#define AT_METRIC		40
#define HEADER_LENGTH	(AT_METRIC + ML_METRIC_NAME)

PG_FUNCTION_INFO_V1(mlops_metric_state_in);
PG_FUNCTION_INFO_V1(mlops_metric_state_out);
PG_FUNCTION_INFO_V1(mlops_metric_state_recv);
PG_FUNCTION_INFO_V1(mlops_metric_state_send);

static Size get_flat_size(ExpandedObjectHeader *header);
static void flatten_into(ExpandedObjectHeader *header, void *result, Size size);

static const ExpandedObjectMethods methods = {get_flat_size, flatten_into};

static const MlStateBody *const bodies[ML_STATE_KINDS + 1] = {
	[ML_STATE_MEAN] = &ml_state_sums,
	[ML_STATE_MAXIMUM] = &ml_state_sums,
	[ML_STATE_MOMENTS] = &ml_state_sums,
	[ML_STATE_CELLS] = &ml_state_sums,
	[ML_STATE_BINS] = &ml_state_sums,
	[ML_STATE_TABLE] = &ml_state_table,
	[ML_STATE_RANKED] = &ml_state_ranked,
	[ML_STATE_CLUSTERS] = &ml_state_clusters,
	[ML_STATE_POINTS] = &ml_state_points
};

MemoryContext
ml_metric_state_parent(FunctionCallInfo fcinfo)
{
	MemoryContext cxt;

	return AggCheckCallContext(fcinfo, &cxt) ? cxt : CurrentMemoryContext;
}

MlMetricState *
ml_metric_state_make(MemoryContext parent, MlStateKind kind, MlUnit unit, double parameter)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "mlops metric state", ALLOCSET_START_SMALL_SIZES);
	MlMetricState *state = MemoryContextAllocZero(cxt, sizeof(MlMetricState));

	EOH_init_header(&state->hdr, &methods, cxt);
	state->kind = kind;
	state->unit = unit;
	state->parameter = parameter;
	state->body = bodies[kind];
	state->body->begin(state);
	return state;
}

/*
 * ---- to bytes ----
 *
 * The server asks for them wherever it forms a tuple, from 17 on in memory that
 * cannot be freed piece by piece: that of a sort. Work is done in the state's own.
 */

static Size
get_flat_size(ExpandedObjectHeader *header)
{
	MlMetricState *state = (MlMetricState *) header;
	MemoryContext old = MemoryContextSwitchTo(state->hdr.eoh_context);

	state->flat_size = VARHDRSZ + HEADER_LENGTH + state->body->size(state);
	MemoryContextSwitchTo(old);
	return state->flat_size;
}

static void
flatten_into(ExpandedObjectHeader *header, void *result, Size size)
{
	MlMetricState *state = (MlMetricState *) header;
	char	   *at = VARDATA(result);
	MemoryContext old;

	Assert(size == state->flat_size);
	memset(result, 0, size);
	SET_VARSIZE(result, size);
	memcpy(at, MAGIC, MAGIC_LENGTH);
	ml_image_put(at + AT_FORMAT, FORMAT, 4);
	ml_image_put(at + AT_KIND, state->kind, 4);
	ml_image_put(at + AT_UNIT, state->unit, 4);
	ml_image_put_double(at + AT_PARAMETER, state->parameter);
	ml_image_put(at + AT_NROWS, (uint64) state->nrows, 8);
	strlcpy(at + AT_METRIC, state->metric, ML_METRIC_NAME);
	old = MemoryContextSwitchTo(state->hdr.eoh_context);
	state->body->write(state, at + HEADER_LENGTH);
	MemoryContextSwitchTo(old);
}

/* ---- from bytes ---- */

void
ml_metric_state_refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("these bytes are not the state of a metric"),
			 errdetail("%s", detail),
			 errhint("States come from aggregates such as mlops_rmse_state(), of the same version of the extension on all servers.")));
	pg_unreachable();
}

static void
read_metric(MlMetricState *state, const char *bytes)
{
	memcpy(state->metric, bytes + AT_METRIC, ML_METRIC_NAME);
	for (int i = 0; i < ML_METRIC_NAME; i++)
	{
		char		c = state->metric[i];

		if (c == '\0')
			return;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			break;
	}
	ml_metric_state_refuse("They do not name a metric.");
}

static void
check_parameter(const MlMetricState *state)
{
	double		parameter = state->parameter;
	bool		possible;

	if (state->kind == ML_STATE_CELLS)
		possible = !isnan(parameter);
	else if (state->unit == ML_UNIT_TOP)
		possible = parameter >= 1.0 && parameter <= PG_INT32_MAX;
	else if (state->unit == ML_UNIT_PINBALL)
		possible = parameter >= 0.0 && parameter <= 1.0;
	else if (state->kind == ML_STATE_RANKED)
		possible = isnan(parameter) || (parameter >= 0.0 && parameter <= 1.0);
	else
		possible = isnan(parameter);
	if (!possible)
		ml_metric_state_refuse(psprintf("The parameter %g is none of its kind.", parameter));
}

static MlMetricState *
read_state(const char *bytes, Size length, MemoryContext parent)
{
	uint64		format;
	uint64		kind;
	uint64		unit;
	int64		nrows;
	MlMetricState *state;

	if (length < HEADER_LENGTH || memcmp(bytes, MAGIC, MAGIC_LENGTH) != 0)
		ml_metric_state_refuse("They do not begin as the state of a metric does.");
	format = ml_image_get(bytes + AT_FORMAT, 4);
	kind = ml_image_get(bytes + AT_KIND, 4);
	unit = ml_image_get(bytes + AT_UNIT, 4);
	nrows = (int64) ml_image_get(bytes + AT_NROWS, 8);
	if (format != FORMAT)
		ml_metric_state_refuse(psprintf("They are of format " UINT64_FORMAT "; this server reads format %d.", format, FORMAT));
	if (kind < 1 || kind > ML_STATE_KINDS || unit > ML_UNITS || (kind == ML_STATE_MEAN) != (unit != ML_UNIT_NONE))
		ml_metric_state_refuse("They are of no kind of state that there is.");
	if (nrows < 1)
		ml_metric_state_refuse("The number of rows is impossible.");
	state = ml_metric_state_make(parent, (MlStateKind) kind, (MlUnit) unit,
								 ml_image_get_double(bytes + AT_PARAMETER));
	state->nrows = nrows;
	check_parameter(state);
	read_metric(state, bytes);
	state->body->read(state, bytes + HEADER_LENGTH, length - HEADER_LENGTH);
	return state;
}

MlMetricState *
ml_metric_state_get(Datum datum, MemoryContext parent)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);
	MlMetricState *state;
	struct varlena *flat;

	if (VARATT_IS_EXTERNAL_EXPANDED_RW(value))
		return (MlMetricState *) DatumGetEOHP(datum);
	flat = pg_detoast_datum_packed(value);
	state = read_state(VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat), parent);
	if (flat != value)
		pfree(flat);
	return state;
}

MlMetricState *
ml_metric_state_copy(MlMetricState *state, MemoryContext parent)
{
	Size		size = EOH_get_flat_size(&state->hdr);
	struct varlena *flat = palloc_extended(size, MCXT_ALLOC_HUGE);
	MlMetricState *copy;

	EOH_flatten_into(&state->hdr, flat, size);
	copy = read_state(VARDATA(flat), size - VARHDRSZ, parent);
	pfree(flat);
	return copy;
}

/* ---- merging ---- */

static bool
same_parameter(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

void
ml_metric_state_merge(MlMetricState *into, MlMetricState *other)
{
	if (into->kind != other->kind || into->unit != other->unit || strcmp(into->metric, other->metric) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("states of different metrics cannot be merged"),
				 errdetail("One is of \"%s\", the other of \"%s\".", into->metric, other->metric),
				 errhint("Merge states of one aggregate.")));
	if (!same_parameter(into->parameter, other->parameter))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("states with different parameters cannot be merged"),
				 errdetail("One was made with %g, the other with %g.", into->parameter, other->parameter),
				 errhint("Make both with the same threshold, quantile, share or k.")));
	into->body->merge(into, other);
	into->nrows += other->nrows;
}

/* ---- in and out ---- */

static void
check(struct varlena *value, MemoryContext cxt)
{
	(void) read_state(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), cxt);
}

static const MlImageType metric_state_type = {ML_METRIC_STATE_TYPE, check};

Datum
mlops_metric_state_in(PG_FUNCTION_ARGS)
{
	return ml_image_in(&metric_state_type, fcinfo);
}

Datum
mlops_metric_state_out(PG_FUNCTION_ARGS)
{
	return ml_image_out(&metric_state_type, fcinfo);
}

Datum
mlops_metric_state_recv(PG_FUNCTION_ARGS)
{
	return ml_image_recv(&metric_state_type, fcinfo);
}

Datum
mlops_metric_state_send(PG_FUNCTION_ARGS)
{
	return ml_image_send(fcinfo);
}
