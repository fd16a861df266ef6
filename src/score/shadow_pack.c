/*
 * shadow_pack.c
 *		What a shadow said, as bytes: a head, then name, status and label, terminated.
 *
 * The bytes stay within a server: from whoever made a call to the log's writer.
 */
#include "postgres.h"

#include "score/shadow.h"

typedef struct Head
{
	double		prediction;
	double		us;
	int32		version;
	bool		has_label;
} Head;

static char *
put_text(char *to, const char *text, Size length)
{
	memcpy(to, text, length + 1);
	return to + length + 1;
}

void
ml_shadow_pack(StringInfo packed, const MlShadowSaid *said)
{
	Size		nname = strlen(said->name);
	Size		nstatus = strlen(said->status);
	Size		nlabel = said->label != NULL ? strlen(said->label) : 0;
	Head		head = {0};
	char	   *to;

	head.prediction = said->prediction;
	head.us = said->us;
	head.version = said->version;
	head.has_label = said->label != NULL;
	enlargeStringInfo(packed, (int) (sizeof(Head) + nname + nstatus + nlabel + 3));
	to = packed->data + packed->len;
	memcpy(to, &head, sizeof(Head));	/* not aligned */
	to = put_text(to + sizeof(Head), said->name, nname);
	to = put_text(to, said->status, nstatus);
	if (said->label != NULL)
		to = put_text(to, said->label, nlabel);
	packed->len = to - packed->data;
}

static const char *
take_text(const char **packed)
{
	const char *text = *packed;

	*packed += strlen(text) + 1;
	return text;
}

bool
ml_shadow_unpack(const char **packed, const char *end, MlShadowSaid *said)
{
	Head		head;

	if (*packed >= end)
		return false;
	memcpy(&head, *packed, sizeof(Head));	/* not aligned */
	*packed += sizeof(Head);
	said->prediction = head.prediction;
	said->us = head.us;
	said->version = head.version;
	said->name = take_text(packed);
	said->status = take_text(packed);
	said->label = head.has_label ? take_text(packed) : NULL;
	return true;
}
