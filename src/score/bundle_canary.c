/*
 * bundle_canary.c
 *		Two bundles in one: what is active, and the canary that serves a share of
 *		the rows.
 *
 * The header begins as that of the active bundle. Then come the SHA-256 of all
 * that follows the header, the length of the active bundle, the share, the seed
 * of the hash that says whose a row is (registry/canary.h) and the number of
 * the canary's version. The two bundles follow, each whole and none of them a
 * pair.
 */
#include "postgres.h"

#include "image.h"
#include "score/bundle.h"
#include "utils/memutils.h"

#define AT_CHECKSUM		128
#define AT_ACTIVE		160
#define AT_SHARE		168
#define AT_SEED			176
#define AT_VERSION		184
#define AT_RESERVED		188

struct varlena *
ml_bundle_join(const MlResolved *active, const struct varlena *of_active, const struct varlena *of_canary)
{
	Size		n = VARSIZE_ANY_EXHDR(of_active);
	Size		more = VARSIZE_ANY_EXHDR(of_canary);
	struct varlena *value;
	char	   *bytes;

	if (n + more > MaxAllocSize - VARHDRSZ - ML_BUNDLE_CANARY_HEADER)
		ml_bundle_too_large(active, n + more);
	value = palloc0(VARHDRSZ + ML_BUNDLE_CANARY_HEADER + n + more);
	SET_VARSIZE(value, VARHDRSZ + ML_BUNDLE_CANARY_HEADER + n + more);
	bytes = VARDATA(value);
	memcpy(bytes, VARDATA_ANY(of_active), ML_BUNDLE_HEADER);
	ml_image_put(bytes + ML_BUNDLE_AT_FORMAT, ML_BUNDLE_FORMAT_CANARY, 4);
	memcpy(bytes + ML_BUNDLE_CANARY_HEADER, VARDATA_ANY(of_active), n);
	memcpy(bytes + ML_BUNDLE_CANARY_HEADER + n, VARDATA_ANY(of_canary), more);
	ml_sha256(bytes + ML_BUNDLE_CANARY_HEADER, n + more, (uint8 *) bytes + AT_CHECKSUM);
	ml_image_put(bytes + AT_ACTIVE, n, 8);
	ml_image_put_double(bytes + AT_SHARE, active->canary.share);
	ml_image_put(bytes + AT_SEED, active->canary.seed, 8);
	ml_image_put(bytes + AT_VERSION, active->canary.version, 4);
	return value;
}

void
ml_bundle_canary_header(const char *bytes, Size length, MlBundle *bundle)
{
	MlCanary   *canary = &bundle->resolved.canary;
	uint64		version;

	if (length < ML_BUNDLE_CANARY_HEADER)
		ml_bundle_refuse(psprintf("There are %zu of them; the header has %d.", length, ML_BUNDLE_CANARY_HEADER));
	version = ml_image_get(bytes + AT_VERSION, 4);
	if (version < 1 || version > PG_INT32_MAX)
		ml_bundle_refuse(psprintf("The number of the canary's version is " UINT64_FORMAT ".", version));
	canary->version = (int) version;
	canary->share = ml_image_get_double(bytes + AT_SHARE);
	if (!(canary->share > 0 && canary->share < 1))
		ml_bundle_refuse("The share of the canary is not between 0 and 1.");
	canary->seed = ml_image_get(bytes + AT_SEED, 8);
	bundle->active_length = ml_image_get(bytes + AT_ACTIVE, 8);
	if (ml_image_get(bytes + AT_RESERVED, 4) != 0)
		ml_bundle_refuse("The last bytes of the header are not zero.");
}

void
ml_bundle_single_header(const struct varlena *value, MlBundle *bundle)
{
	ml_bundle_header(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), bundle);
	if (bundle->resolved.canary.version != 0)
		ml_bundle_refuse("One bundle of a pair is a pair itself.");
}

static struct varlena *
copy(const char *bytes, Size length)
{
	struct varlena *value = palloc(VARHDRSZ + length);

	SET_VARSIZE(value, VARHDRSZ + length);
	memcpy(VARDATA(value), bytes, length);
	return value;
}

/* the header is the active bundle's, but for the format */
static bool
is_header_of(const char *header, const struct varlena *active)
{
	const Size	after = ML_BUNDLE_AT_FORMAT + sizeof(uint32);

	return memcmp(header, VARDATA_ANY(active), ML_BUNDLE_AT_FORMAT) == 0 &&
		memcmp(header + after, VARDATA_ANY(active) + after, ML_BUNDLE_HEADER - after) == 0;
}

static void
check_pair(const char *header, const MlBundle *bundle, const struct varlena *active, const struct varlena *canary)
{
	MlBundle	one;
	MlBundle	other;

	ml_bundle_single_header(active, &one);
	ml_bundle_single_header(canary, &other);
	if (!is_header_of(header, active))
		ml_bundle_refuse("The active bundle is not the one that the header names.");
	if (other.resolved.version != bundle->resolved.canary.version)
		ml_bundle_refuse("The canary is not the one that the header names.");
	if (other.task != bundle->task || strcmp(one.resolved.model, other.resolved.model) != 0)
		ml_bundle_refuse("The canary is of another model or task.");
}

void
ml_bundle_split(struct varlena *value, const MlBundle *bundle, struct varlena **active, struct varlena **canary)
{
	struct varlena *whole = pg_detoast_datum_packed(value);
	const char *bytes = VARDATA_ANY(whole);
	Size		left = VARSIZE_ANY_EXHDR(whole) - bundle->header_length;
	uint8		digest[ML_SHA256_LENGTH];

	ml_sha256(bytes + bundle->header_length, left, digest);
	if (memcmp(digest, bytes + AT_CHECKSUM, ML_SHA256_LENGTH) != 0)
		ml_bundle_refuse("The two bundles do not have the checksum that the header has.");
	if (bundle->active_length > left)
		ml_bundle_refuse("The active bundle is not complete.");
	bytes += bundle->header_length;
	*active = copy(bytes, bundle->active_length);
	*canary = copy(bytes + bundle->active_length, left - bundle->active_length);
	check_pair(VARDATA_ANY(whole), bundle, *active, *canary);
	if (whole != value)
		pfree(whole);
}
