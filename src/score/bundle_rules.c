/*
 * bundle_rules.c
 *		The rules in a bundle: their program, and the versions that they use,
 *		whole, so that nothing is looked up where the bundle is used.
 *
 * They come after the artifact: the program, then for each version that rules
 * use u32 version, i32 what the rule names (a version, or 0 for the fallback),
 * f64 threshold, SHA-256, u64 length and the artifact. The header has the
 * SHA-256 of all of it, by which call sites know it too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "datatype/timestamp.h"
#include "image.h"
#include "score/bundle.h"
#include "utils/memutils.h"

#define FALLBACK		"fallback"

/* a version that rules use: what comes before its artifact */
#define AT_VERSION		0
#define AT_WANTED		4
#define AT_THRESHOLD	8
#define AT_SHA256		16
#define AT_LENGTH		48
#define USED_HEADER		56

/* ---- writing ---- */

typedef struct Bytes
{
	char	   *data;
	Size		length;
} Bytes;

static void
append(const MlResolved *resolved, Bytes *bytes, const char *more, Size n)
{
	if (bytes->length + n > MaxAllocSize - VARHDRSZ)
		ml_bundle_too_large(resolved, bytes->length + n);
	bytes->data = repalloc_huge(bytes->data, VARHDRSZ + bytes->length + n);
	memcpy(bytes->data + VARHDRSZ + bytes->length, more, n);
	bytes->length += n;
}

/* under the snapshot that the bundle was resolved with; no fallback is no error */
static bool
resolve_used(const MlResolved *bundle, int wanted, MlResolved *resolved)
{
	MlReference reference = {{0}};

	if (wanted == ML_RULE_FALLBACK && !ml_registry_has_alias(bundle->model, FALLBACK))
		return false;
	strlcpy(reference.model, bundle->model, NAMEDATALEN);
	reference.version = wanted;
	if (wanted == ML_RULE_FALLBACK)
		strlcpy(reference.alias, FALLBACK, NAMEDATALEN);
	ml_registry_resolve(&reference, ML_PRIVILEGE_PREDICT, resolved);
	return true;
}

static void
append_used(const MlResolved *bundle, Bytes *bytes, int wanted, const MlResolved *resolved)
{
	bytea	   *artifact = ml_registry_artifact(resolved);
	char		header[USED_HEADER] = {0};

	ml_image_put(header + AT_VERSION, resolved->version, 4);
	ml_image_put(header + AT_WANTED, wanted, 4);
	ml_image_put_double(header + AT_THRESHOLD, resolved->threshold);
	memcpy(header + AT_SHA256, resolved->sha256, ML_SHA256_LENGTH);
	ml_image_put(header + AT_LENGTH, VARSIZE_ANY_EXHDR(artifact), 8);
	append(bundle, bytes, header, USED_HEADER);
	append(bundle, bytes, VARDATA_ANY(artifact), VARSIZE_ANY_EXHDR(artifact));
	pfree(artifact);
}

bytea *
ml_bundle_rules_bytes(const MlResolved *resolved, char *header)
{
	bytea	   *stored = ml_registry_rules(resolved);
	MlRuleProgram *program = ml_rules_load(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	Bytes		bytes = {.data = palloc(VARHDRSZ)};
	int			version[ML_MAX_RULES + 1];
	int			n = ml_rule_uses(program, version);
	int			nused = 0;

	append(resolved, &bytes, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	for (int i = 0; i < n; i++)
	{
		MlResolved	used;

		if (!resolve_used(resolved, version[i], &used))
			continue;
		append_used(resolved, &bytes, version[i], &used);
		nused++;
	}
	SET_VARSIZE(bytes.data, VARHDRSZ + bytes.length);
	ml_sha256(bytes.data + VARHDRSZ, bytes.length, (uint8 *) header + ML_BUNDLE_AT_RULES_SHA256);
	ml_image_put(header + ML_BUNDLE_AT_NOW, GetCurrentTransactionStartTimestamp() +
				 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY, 8);
	ml_image_put(header + ML_BUNDLE_AT_PROGRAM, VARSIZE_ANY_EXHDR(stored), 8);
	ml_image_put(header + ML_BUNDLE_AT_USED, nused, 4);
	ml_image_put(header + ML_BUNDLE_AT_NUMBER, resolved->rules, 4);
	return (bytea *) bytes.data;
}

/* ---- reading ---- */

/* the next used version; the bytes that it takes */
static Size
read_used(const char *bytes, Size left, const MlBundle *bundle, MlBundleUsed *used)
{
	uint64		version;
	uint64		wanted;
	uint64		length;

	if (left < USED_HEADER)
		ml_bundle_refuse("A version that rules use is not complete.");
	version = ml_image_get(bytes + AT_VERSION, 4);
	wanted = ml_image_get(bytes + AT_WANTED, 4);
	length = ml_image_get(bytes + AT_LENGTH, 8);
	if (version < 1 || version > PG_INT32_MAX || (wanted != version && wanted != ML_RULE_FALLBACK))
		ml_bundle_refuse("A version that rules use has no number.");
	if (length > left - USED_HEADER)
		ml_bundle_refuse("The artifact of a version that rules use is not complete.");
	memset(used, 0, sizeof(MlBundleUsed));
	used->wanted = (int) wanted;
	strlcpy(used->resolved.model, bundle->resolved.model, NAMEDATALEN);
	used->resolved.version = (int) version;
	used->resolved.threshold = ml_image_get_double(bytes + AT_THRESHOLD);
	if (!(used->resolved.threshold >= 0 && used->resolved.threshold <= 1))
		ml_bundle_refuse("The threshold of a version that rules use is not between 0 and 1.");
	memcpy(used->resolved.sha256, bytes + AT_SHA256, ML_SHA256_LENGTH);
	used->artifact = palloc(VARHDRSZ + length);
	SET_VARSIZE(used->artifact, VARHDRSZ + length);
	memcpy(VARDATA(used->artifact), bytes + USED_HEADER, length);
	return USED_HEADER + length;
}

void
ml_bundle_rules(struct varlena *value, const MlBundle *bundle, MlBundleRules *rules)
{
	struct varlena *whole = pg_detoast_datum_packed(value);
	const char *bytes = VARDATA_ANY(whole) + bundle->header_length;
	Size		left = VARSIZE_ANY_EXHDR(whole) - bundle->header_length;
	uint8		digest[ML_SHA256_LENGTH];

	if (bundle->artifact_length > left || bundle->program_length > left - bundle->artifact_length)
		ml_bundle_refuse("The rules are not complete.");
	bytes += bundle->artifact_length;
	left -= bundle->artifact_length;
	ml_sha256(bytes, left, digest);
	if (memcmp(digest, bundle->resolved.rules_sha256, ML_SHA256_LENGTH) != 0)
		ml_bundle_refuse("The rules do not have the checksum that the header has.");
	rules->program = ml_rules_load(bytes, bundle->program_length);
	if (rules->program->task != bundle->task)
		ml_bundle_refuse("The rules are of another task than the model.");
	bytes += bundle->program_length;
	left -= bundle->program_length;
	rules->nused = bundle->nused;
	rules->used = palloc0(sizeof(MlBundleUsed) * Max(bundle->nused, 1));
	for (int i = 0; i < bundle->nused; i++)
	{
		Size		taken = read_used(bytes, left, bundle, &rules->used[i]);

		bytes += taken;
		left -= taken;
	}
	if (left > 0)
		ml_bundle_refuse(psprintf("%zu bytes follow the last version that rules use.", left));
	if (whole != value)
		pfree(whole);
}
