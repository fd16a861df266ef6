/*
 * bundle.c
 *		The type mlops.bundle, and mlops_bundle(model), which makes one.
 *
 * Whatever bytes come in - as text, in binary form, from a column - the header
 * is checked, then the checksum of the artifact, then the artifact by its own
 * reader, which trusts nothing. What is stored in a table has been through
 * that; it is checked again when it is loaded.
 */
#include "postgres.h"

#include <math.h>

#include "compat.h"
#include "errors.h"
#include "image.h"
#include "mb/pg_wchar.h"
#include "score/bundle.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAGIC			"\x89MLB\r\n\x1a\n"
#define MAGIC_LENGTH	8

/* where the fields are */
#define AT_FORMAT		ML_BUNDLE_AT_FORMAT
#define AT_VERSION		12
#define AT_SHA256		16
#define AT_THRESHOLD	48
#define AT_TASK			56
#define AT_ENCODING		60
#define AT_MODEL		64		/* NAMEDATALEN bytes, filled up with zeros */

PG_FUNCTION_INFO_V1(mlops_bundle_in);
PG_FUNCTION_INFO_V1(mlops_bundle_out);
PG_FUNCTION_INFO_V1(mlops_bundle_recv);
PG_FUNCTION_INFO_V1(mlops_bundle_send);
PG_FUNCTION_INFO_V1(mlops_bundle);

StaticAssertDecl(AT_MODEL + NAMEDATALEN == ML_BUNDLE_HEADER, "the header of a bundle has 128 bytes");

/* ---- reading ---- */

void
ml_bundle_refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("these bytes are not a bundle"),
			 errdetail("%s", detail),
			 errhint("Make one with mlops_bundle('model'), with the same version of the extension on all servers.")));
}

/* there may be no conversion, or none of these characters: then the bytes are at fault, and nothing else */
static char *
convert_name(char *name, Size length, int encoding)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *converted = NULL;

	PG_TRY();
	{
		converted = pg_any_to_server(name, length, encoding);
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION && geterrcode() != ERRCODE_UNDEFINED_FUNCTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
		ml_bundle_refuse(psprintf("The name of the model is in encoding \"%s\", and cannot be converted to \"%s\".",
								  pg_encoding_to_char(encoding), GetDatabaseEncodingName()));
	}
	PG_END_TRY();
	return converted;
}

/* the name in the encoding of the database; it is for messages alone */
static void
read_name(const char *bytes, MlBundle *bundle)
{
	uint64		encoding = ml_image_get(bytes + AT_ENCODING, 4);
	Size		length = strnlen(bytes + AT_MODEL, NAMEDATALEN);
	char	   *name;

	if (length == 0 || length == NAMEDATALEN)
		ml_bundle_refuse("The name of the model is empty or has no end.");
	for (Size i = length; i < NAMEDATALEN; i++)
		if (bytes[AT_MODEL + i] != '\0')
			ml_bundle_refuse("Something follows the name of the model.");
	if (encoding > INT_MAX || !PG_VALID_BE_ENCODING((int) encoding) ||
		!pg_verify_mbstr((int) encoding, bytes + AT_MODEL, length, true))
		ml_bundle_refuse("The name of the model is not text of the encoding that the header names.");
	name = pnstrdup(bytes + AT_MODEL, length);
	name = convert_name(name, length, (int) encoding);
	strlcpy(bundle->resolved.model, name, NAMEDATALEN);
	bundle->resolved.model[pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1)] = '\0';
}

static void
read_ruled(const char *bytes, Size length, MlBundle *bundle)
{
	uint64		rules;
	uint64		used;

	if (length < ML_BUNDLE_RULED_HEADER)
		ml_bundle_refuse(psprintf("There are %zu of them; the header has %d.", length, ML_BUNDLE_RULED_HEADER));
	rules = ml_image_get(bytes + ML_BUNDLE_AT_NUMBER, 4);
	used = ml_image_get(bytes + ML_BUNDLE_AT_USED, 4);
	if (rules < 1 || rules > INT_MAX)
		ml_bundle_refuse(psprintf("The number of the rule set is " UINT64_FORMAT ".", rules));
	if (used > ML_MAX_RULES + 1)
		ml_bundle_refuse(psprintf("Rules use " UINT64_FORMAT " versions.", used));
	bundle->resolved.rules = (int) rules;
	memcpy(bundle->resolved.rules_sha256, bytes + ML_BUNDLE_AT_RULES_SHA256, ML_SHA256_LENGTH);
	bundle->now = (int64) ml_image_get(bytes + ML_BUNDLE_AT_NOW, 8);
	bundle->artifact_length = ml_image_get(bytes + ML_BUNDLE_AT_ARTIFACT, 8);
	bundle->program_length = ml_image_get(bytes + ML_BUNDLE_AT_PROGRAM, 8);
	bundle->nused = (int) used;
}

void
ml_bundle_header(const char *bytes, Size length, MlBundle *bundle)
{
	uint64		format;
	uint64		version;
	uint64		task;

	if (length < ML_BUNDLE_HEADER)
		ml_bundle_refuse(psprintf("There are %zu of them; the header has %d.", length, ML_BUNDLE_HEADER));
	if (memcmp(bytes, MAGIC, MAGIC_LENGTH) != 0)
		ml_bundle_refuse("They do not begin as a bundle does.");
	format = ml_image_get(bytes + AT_FORMAT, 4);
	version = ml_image_get(bytes + AT_VERSION, 4);
	task = ml_image_get(bytes + AT_TASK, 4);
	if (format < ML_BUNDLE_FORMAT || format > ML_BUNDLE_FORMAT_CANARY)
		ml_bundle_refuse(psprintf("They are of format " UINT64_FORMAT "; this server reads formats %d to %d.", format,
								  ML_BUNDLE_FORMAT, ML_BUNDLE_FORMAT_CANARY));
	if (version < 1 || version > INT_MAX)
		ml_bundle_refuse(psprintf("The number of the version is " UINT64_FORMAT ".", version));
	if (task == 0 || task > ML_LAST_TASK || (task & (task - 1)) != 0)
		ml_bundle_refuse(psprintf("There is no task " UINT64_FORMAT ".", task));
	memset(bundle, 0, sizeof(MlBundle));
	bundle->task = (MlTask) task;
	bundle->resolved.version = (int) version;
	bundle->resolved.threshold = ml_image_get_double(bytes + AT_THRESHOLD);
	if (!(bundle->resolved.threshold >= 0 && bundle->resolved.threshold <= 1))
		ml_bundle_refuse("The threshold is not between 0 and 1.");
	memcpy(bundle->resolved.sha256, bytes + AT_SHA256, ML_SHA256_LENGTH);
	ItemPointerSetInvalid(&bundle->resolved.place);
	bundle->header_length = format == ML_BUNDLE_FORMAT ? ML_BUNDLE_HEADER : ML_BUNDLE_RULED_HEADER;
	read_name(bytes, bundle);
	if (format == ML_BUNDLE_FORMAT_RULED)
		read_ruled(bytes, length, bundle);
	if (format == ML_BUNDLE_FORMAT_CANARY)
		ml_bundle_canary_header(bytes, length, bundle);
}

bytea *
ml_bundle_artifact(struct varlena *value)
{
	struct varlena *whole = pg_detoast_datum_packed(value);
	Size		length = VARSIZE_ANY_EXHDR(whole);
	MlBundle	bundle;
	bytea	   *artifact;

	ml_bundle_header(VARDATA_ANY(whole), length, &bundle);
	length -= bundle.header_length;
	if (bundle.resolved.rules != 0 && bundle.artifact_length > length)
		ml_bundle_refuse("The artifact is not complete.");
	if (bundle.resolved.rules != 0)
		length = bundle.artifact_length;
	artifact = palloc(VARHDRSZ + length);
	SET_VARSIZE(artifact, VARHDRSZ + length);
	memcpy(VARDATA(artifact), VARDATA_ANY(whole) + bundle.header_length, length);
	if (whole != value)
		pfree(whole);
	return artifact;
}

static void
check_rules(struct varlena *value, const MlBundle *bundle, MemoryContext cxt)
{
	MlBundleRules rules;

	ml_bundle_rules(value, bundle, &rules);
	for (int i = 0; i < rules.nused; i++)
	{
		MlModel    *model = ml_model_load(rules.used[i].resolved.sha256, rules.used[i].artifact, cxt);

		if (model->recipe->target.task != bundle->task)
			ml_bundle_refuse("The task of a version that rules use is not the model's.");
	}
}

static void
check_single(struct varlena *value, MemoryContext cxt)
{
	MlBundle	bundle;
	MlModel    *model;

	ml_bundle_single_header(value, &bundle);
	model = ml_model_load(bundle.resolved.sha256, ml_bundle_artifact(value), cxt);
	if (model->recipe->target.task != bundle.task)
		ml_bundle_refuse("The task in the header is not the model's.");
	if (bundle.resolved.rules != 0)
		check_rules(value, &bundle, cxt);
}

/* ML004 unless the whole value is sound */
static void
check(struct varlena *value, MemoryContext cxt)
{
	MlBundle	bundle;
	struct varlena *active;
	struct varlena *canary;

	ml_bundle_header(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &bundle);
	if (bundle.resolved.canary.version == 0)
	{
		check_single(value, cxt);
		return;
	}
	ml_bundle_split(value, &bundle, &active, &canary);
	check_single(active, cxt);
	check_single(canary, cxt);
}

/* ---- in and out ---- */

static const MlImageType bundle_type = {ML_BUNDLE_TYPE, check};

Datum
mlops_bundle_in(PG_FUNCTION_ARGS)
{
	return ml_image_in(&bundle_type, fcinfo);
}

Datum
mlops_bundle_out(PG_FUNCTION_ARGS)
{
	return ml_image_out(&bundle_type, fcinfo);
}

Datum
mlops_bundle_recv(PG_FUNCTION_ARGS)
{
	return ml_image_recv(&bundle_type, fcinfo);
}

Datum
mlops_bundle_send(PG_FUNCTION_ARGS)
{
	return ml_image_send(fcinfo);
}

/* ---- making one ---- */

void
ml_bundle_too_large(const MlResolved *resolved, Size length)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("version %d of model \"%s\" is too large to be a value",
					resolved->version, resolved->model),
			 errdetail("Its artifact has %zu bytes.", length),
			 errhint("Score with mlops_predict('%s', ...) on the server that has the model.",
					 resolved->model)));
	pg_unreachable();
}

/* rules: what comes after the artifact, or NULL */
static struct varlena *
make(const MlResolved *resolved, MlTask task, const bytea *artifact, const char *header, const bytea *rules)
{
	Size		header_length = rules ? ML_BUNDLE_RULED_HEADER : ML_BUNDLE_HEADER;
	Size		length = VARSIZE_ANY_EXHDR(artifact);
	Size		rules_length = rules ? VARSIZE_ANY_EXHDR(rules) : 0;
	struct varlena *value;
	char	   *bytes;

	if (length + rules_length > MaxAllocSize - VARHDRSZ - header_length)
		ml_bundle_too_large(resolved, length + rules_length);
	value = palloc0(VARHDRSZ + header_length + length + rules_length);
	SET_VARSIZE(value, VARHDRSZ + header_length + length + rules_length);
	bytes = VARDATA(value);
	if (rules)
		memcpy(bytes, header, header_length);
	memcpy(bytes, MAGIC, MAGIC_LENGTH);
	ml_image_put(bytes + AT_FORMAT, rules ? ML_BUNDLE_FORMAT_RULED : ML_BUNDLE_FORMAT, 4);
	ml_image_put(bytes + AT_VERSION, resolved->version, 4);
	memcpy(bytes + AT_SHA256, resolved->sha256, ML_SHA256_LENGTH);
	ml_image_put_double(bytes + AT_THRESHOLD, resolved->threshold);
	ml_image_put(bytes + AT_TASK, task, 4);
	ml_image_put(bytes + AT_ENCODING, GetDatabaseEncoding(), 4);
	strlcpy(bytes + AT_MODEL, resolved->model, NAMEDATALEN);
	memcpy(bytes + header_length, VARDATA_ANY(artifact), length);
	if (rules)
	{
		ml_image_put(bytes + ML_BUNDLE_AT_ARTIFACT, length, 8);
		memcpy(bytes + header_length + length, VARDATA_ANY(rules), rules_length);
	}
	return value;
}

struct varlena *
ml_bundle_make(const MlResolved *resolved, MlTask task, const bytea *artifact)
{
	return make(resolved, task, artifact, NULL, NULL);
}

struct varlena *
ml_bundle_make_ruled(const MlResolved *resolved, MlTask task, const bytea *artifact)
{
	char		header[ML_BUNDLE_RULED_HEADER] = {0};
	bytea	   *rules = ml_bundle_rules_bytes(resolved, header);

	return make(resolved, task, artifact, header, rules);
}

/* the bundle of one side; cxt holds the pin on its model */
static struct varlena *
make_side(const MlResolved *resolved, MemoryContext cxt)
{
	const MlModel *model = ml_registry_acquire(resolved, cxt);
	MlTask		task = model->recipe->target.task;
	bytea	   *artifact = ml_registry_artifact(resolved);
	struct varlena *value;

	value = resolved->rules != 0 ? ml_bundle_make_ruled(resolved, task, artifact) :
		ml_bundle_make(resolved, task, artifact);
	pfree(artifact);
	return value;
}

/* in cxt */
static struct varlena *
make_bundle(const MlResolved *resolved, MemoryContext cxt)
{
	struct varlena *active = make_side(resolved, cxt);
	MlResolved	canary;

	if (resolved->canary.version == 0)
		return active;
	ml_registry_canary(resolved, &canary);
	return ml_bundle_join(resolved, active, make_side(&canary, cxt));
}

Datum
mlops_bundle(PG_FUNCTION_ARGS)
{
	MemoryContext cxt;
	MemoryContext old;
	MlReference reference;
	MlResolved	resolved;
	struct varlena *made;
	struct varlena *value;
	text	   *name;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"model\" must not be NULL"),
				 errdetail("It was given as NULL."),
				 errhint("Name a model as in 'churn', 'churn@fallback' or 'churn/7'.")));
	name = PG_GETARG_TEXT_PP(0);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops bundle", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	ml_reference_parse(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &reference);
	ml_registry_resolve(&reference, ML_PRIVILEGE_PREDICT, &resolved);
	made = make_bundle(&resolved, cxt);
	MemoryContextSwitchTo(old);
	value = palloc(VARSIZE(made));
	memcpy(value, made, VARSIZE(made));
	MemoryContextDelete(cxt);
	PG_RETURN_POINTER(value);
}
