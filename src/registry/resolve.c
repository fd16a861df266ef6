/*
 * resolve.c
 *		From a model reference to the version that it stands for.
 *
 * Scoring resolves once per statement, under the statement's snapshot: all
 * rows of a statement, in the leader and in its parallel workers, see one
 * bundle. What serves is read anew each time: invalidations arrive a moment
 * after the commit that they tell of, too late to rely on.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "compat.h"
#include "errors.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "registry/canary.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define DEFAULT_THRESHOLD	0.5
#define MAX_LISTED_RANGES	10

/* fills in what a version's own row says; false if there is no such version */
static bool
read_version(text *model, int version, MlSight sight, MlResolved *resolved)
{
	ScanKeyData key[2];
	MlScan		scan;
	HeapTuple	tuple;
	bool		found;

	ml_key_text(key, 0, Anum_ml_version_model, model);
	ml_key_int(key, 1, Anum_ml_version_version, version);
	ml_scan_begin(&scan, sight, "version", "version_pkey", key, 2);
	tuple = ml_scan_next(&scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		resolved->version = version;
		ml_column_sha256(&scan, tuple, Anum_ml_version_sha256, resolved->sha256);
		resolved->threshold = ml_column_float(&scan, tuple, Anum_ml_version_threshold,
											  DEFAULT_THRESHOLD);
	}
	ml_scan_end(&scan);
	return found;
}

static void
take_canary(MlScan *scan, HeapTuple tuple, MlCanary *canary)
{
	char	   *salt;

	canary->version = ml_column_int(scan, tuple, Anum_ml_serving_canary_version, 0);
	if (likely(canary->version == 0))
		return;
	ml_column_sha256(scan, tuple, Anum_ml_serving_canary_sha256, canary->sha256);
	canary->threshold = ml_column_float(scan, tuple, Anum_ml_serving_canary_threshold, DEFAULT_THRESHOLD);
	canary->share = ml_column_float(scan, tuple, Anum_ml_serving_canary_share, 0);
	canary->deployment = ml_column_int(scan, tuple, Anum_ml_serving_canary_deployment, 0);
	canary->rules = ml_column_int(scan, tuple, Anum_ml_serving_canary_rules, 0);
	if (canary->rules != 0)
		ml_column_sha256(scan, tuple, Anum_ml_serving_canary_rules_sha256, canary->rules_sha256);
	salt = ml_column_text(scan, tuple, Anum_ml_serving_canary_salt);
	canary->seed = ml_canary_seed(salt ? salt : "");
	if (salt)
		pfree(salt);
}

static void
take_serving(MlScan *scan, HeapTuple tuple, MlResolved *resolved)
{
	resolved->place = tuple->t_self;
	resolved->version = ml_column_int(scan, tuple, Anum_ml_serving_version, 0);
	if (resolved->version == 0)
		return;
	ml_column_sha256(scan, tuple, Anum_ml_serving_sha256, resolved->sha256);
	resolved->threshold = ml_column_float(scan, tuple, Anum_ml_serving_threshold,
										  DEFAULT_THRESHOLD);
	resolved->deployment = ml_column_int(scan, tuple, Anum_ml_serving_deployment, 0);
	resolved->rules = ml_column_int(scan, tuple, Anum_ml_serving_rules, 0);
	if (resolved->rules != 0)
		ml_column_sha256(scan, tuple, Anum_ml_serving_rules_sha256, resolved->rules_sha256);
	resolved->shadows = ml_column_int(scan, tuple, Anum_ml_serving_shadows, 0);
	take_canary(scan, tuple, &resolved->canary);
}

static bool
read_serving(text *model, MlResolved *resolved)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;

	resolved->version = 0;
	ml_key_text(key, 0, Anum_ml_serving_model, model);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "serving", "serving_pkey", key, 1);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
		take_serving(&scan, tuple, resolved);
	ml_scan_end(&scan);
	return resolved->version != 0;
}

static bool
has_model(MlScan *scan, HeapTuple tuple, const char *model)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, Anum_ml_serving_model,
									 RelationGetDescr(scan->table), &isnull);
	const void *name = DatumGetPointer(datum);
	size_t		length = strlen(model);

	/* a name is too short to be compressed, or stored out of line */
	return !isnull && VARSIZE_ANY_EXHDR(name) == length &&
		memcmp(VARDATA_ANY(name), model, length) == 0;
}

/* false: the row has to be looked for */
static bool
read_serving_again(const char *model, MlResolved *resolved)
{
	MlScan		scan;
	HeapTuple	tuple;
	bool		found;

	if (!ItemPointerIsValid(&resolved->place))
		return false;
	tuple = ml_scan_place(&scan, "serving", &resolved->place);
	found = HeapTupleIsValid(tuple) && has_model(&scan, tuple, model);
	if (found)
		take_serving(&scan, tuple, resolved);
	ml_scan_end(&scan);
	return found && resolved->version != 0;
}

static int
read_alias(text *model, text *alias)
{
	ScanKeyData key[2];
	MlScan		scan;
	HeapTuple	tuple;
	int			version = 0;

	ml_key_text(key, 0, Anum_ml_alias_model, model);
	ml_key_text(key, 1, Anum_ml_alias_alias, alias);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "alias", "alias_pkey", key, 2);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
		version = ml_column_int(&scan, tuple, Anum_ml_alias_version, 0);
	ml_scan_end(&scan);
	return version;
}

bool
ml_registry_has_alias(const char *model, const char *alias)
{
	return read_alias(cstring_to_text(model), cstring_to_text(alias)) != 0;
}

/* the numbers of a model's versions, ascending; n is 0 if there are none */
static int *
version_numbers(const char *model, MlSight sight, int *n)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	int			size = 64;
	int		   *numbers = palloc(size * sizeof(int));

	*n = 0;
	ml_key_text(key, 0, Anum_ml_version_model, cstring_to_text(model));
	ml_scan_begin(&scan, sight, "version", "version_pkey", key, 1);
	while (HeapTupleIsValid(tuple = ml_scan_next(&scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (*n == size)
		{
			size *= 2;
			numbers = repalloc_huge(numbers, size * sizeof(int));
		}
		numbers[(*n)++] = ml_column_int(&scan, tuple, Anum_ml_version_version, 0);
	}
	ml_scan_end(&scan);
	return numbers;
}

static void
error_nothing_active(const char *model)
{
	char	   *versions = ml_version_ranges(model, ML_SIGHT_STATEMENT);
	int			newest = 0;

	if (versions != NULL)
	{
		int			n;
		int		   *numbers = version_numbers(model, ML_SIGHT_STATEMENT, &n);

		newest = numbers[n - 1];
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("model \"%s\" has no active version", model),
			 versions ? errdetail("Its versions: %s.", versions) :
			 errdetail("It has no versions yet."),
			 versions ? errhint("Make one active, as by SELECT mlops_promote(%s, %d), or name it: %s.",
								quote_literal_cstr(model), newest,
								quote_literal_cstr(psprintf("%s/%d", model, newest))) :
			 errhint("Train one with CALL mlops_train(%s, ...).", quote_literal_cstr(model))));
}

void
ml_registry_canary(const MlResolved *active, MlResolved *canary)
{
	const MlCanary *other = &active->canary;

	*canary = *active;
	ItemPointerSetInvalid(&canary->place);
	canary->version = other->version;
	memcpy(canary->sha256, other->sha256, ML_SHA256_LENGTH);
	canary->threshold = other->threshold;
	canary->rules = other->rules;
	memcpy(canary->rules_sha256, other->rules_sha256, ML_SHA256_LENGTH);
	canary->deployment = other->deployment;
	canary->canary.version = 0;
	canary->shadows = 0;
}

void
ml_registry_running_canary(const char *model, MlCanary *canary)
{
	text	   *name = cstring_to_text(model);
	MlResolved	resolved;

	ml_privilege_check_scoring(model, ML_PRIVILEGE_PREDICT);
	resolved.canary.version = 0;
	(void) read_serving(name, &resolved);
	*canary = resolved.canary;
	pfree(name);
}

/* named by its role, it is asked whatever the row is: no call that the deployment answers for */
static void
resolve_canary(text *model, MlResolved *resolved)
{
	MlResolved	active = *resolved;

	if (!read_serving(model, &active) || active.canary.version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no canary of model \"%s\" runs", resolved->model),
				 active.version != 0 ? errdetail("Version %d serves all rows.", active.version) :
				 errdetail("It has no active version."),
				 errhint("mlops_promote(%s, version, share => 0.05) starts one.", quote_literal_cstr(resolved->model))));
	ml_registry_canary(&active, resolved);
	resolved->deployment = 0;
}

static void
error_no_alias(const char *model, const char *alias, text *name)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, alias);
	ml_scan_offer(&nearest, "alias", "alias_pkey", name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no alias \"%s\"", model, alias),
			 nearest.best ? errhint("Perhaps you meant %s.",
									quote_literal_cstr(psprintf("%s@%s", model, nearest.best))) :
			 errhint("Make it with mlops_set_alias(%s, %s, version).",
					 quote_literal_cstr(model), quote_literal_cstr(alias))));
}

void
ml_registry_resolve(const MlReference *reference, MlPrivilege privilege,
					MlResolved *resolved)
{
	text	   *model;

	ml_privilege_check_scoring(reference->model, privilege);
	model = cstring_to_text(reference->model);
	ItemPointerSetInvalid(&resolved->place);
	resolved->deployment = 0;
	resolved->rules = resolved->shadows = 0;
	resolved->canary.version = 0;
	strlcpy(resolved->model, reference->model, NAMEDATALEN);
	if (reference->version == 0 && reference->alias[0] == '\0')
	{
		if (!read_serving(model, resolved))
			error_nothing_active(reference->model);
	}
	else if (strncmp(reference->alias, ML_SHADOW_PREFIX, strlen(ML_SHADOW_PREFIX)) == 0)
		ml_shadow_resolve(model, reference->alias + strlen(ML_SHADOW_PREFIX), resolved);
	else if (strcmp(reference->alias, ML_CANARY) == 0)
		resolve_canary(model, resolved);
	else
	{
		int			version = reference->version;

		if (version == 0)
			version = read_alias(model, cstring_to_text(reference->alias));
		if (version == 0)
			error_no_alias(reference->model, reference->alias, model);
		if (!read_version(model, version, ML_SIGHT_STATEMENT, resolved))
			ml_error_no_version(reference->model, version, ML_SIGHT_STATEMENT);
	}
	pfree(model);
}

void
ml_registry_resolve_again(const MlReference *reference, MlPrivilege privilege,
						  MlResolved *resolved)
{
	ml_privilege_check_scoring(reference->model, privilege);
	if (!read_serving_again(reference->model, resolved))
		ml_registry_resolve(reference, privilege, resolved);
}

/* ---- which versions there are ---- */

static void
append_range(StringInfo list, int first, int last)
{
	if (list->len > 0)
		appendStringInfoString(list, ", ");
	if (first == last)
		appendStringInfo(list, "%d", first);
	else
		appendStringInfo(list, "%d%s%d", first, last == first + 1 ? ", " : " to ", last);
}

bool
ml_registry_has_versions(const char *model)
{
	int			n;

	pfree(version_numbers(model, ML_SIGHT_NOW, &n));
	return n > 0;
}

char *
ml_version_ranges(const char *model, MlSight sight)
{
	StringInfoData list;
	int			n;
	int		   *numbers = version_numbers(model, sight, &n);
	int			first = n;
	int			nranges = 0;

	if (n == 0)
		return NULL;
	/* walk back from the newest to the start of the oldest range to be shown */
	while (first > 0 && nranges < MAX_LISTED_RANGES)
	{
		first--;
		while (first > 0 && numbers[first - 1] == numbers[first] - 1)
			first--;
		nranges++;
	}
	initStringInfo(&list);
	if (first > 0)
		appendStringInfo(&list, "%d older ones", first);
	for (int i = first; i < n;)
	{
		int			end = i;

		while (end + 1 < n && numbers[end + 1] == numbers[end] + 1)
			end++;
		append_range(&list, numbers[i], numbers[end]);
		i = end + 1;
	}
	return list.data;
}

void
ml_error_no_version(const char *model, int version, MlSight sight)
{
	char	   *versions = ml_version_ranges(model, sight);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("version %d of model \"%s\" does not exist", version, model),
			 versions ? errdetail("Its versions: %s.", versions) :
			 errdetail("It has no versions yet."),
			 versions ? errhint("SELECT * FROM mlops.version WHERE model = %s describes them.",
							quote_literal_cstr(model)) :
			 errhint("Train one with CALL mlops_train(%s, ...).", quote_literal_cstr(model))));
	pg_unreachable();
}
