/*
 * reference.c
 *		'churn', 'churn@fallback', 'churn/7': what a model reference says.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "registry/registry_catalog.h"

/* the same rule as the CHECK on mlops_catalog.model.name */
static const char *
name_problem(const char *name, int length)
{
	if (length == 0)
		return "The name is empty.";
	if (length >= NAMEDATALEN)
		return "The name is longer than 63 bytes.";
	for (int i = 0; i < length; i++)
	{
		if (name[i] == '/' || name[i] == '@')
			return "The name contains \"/\" or \"@\", which separate a version or an alias.";
		if ((unsigned char) name[i] < 0x20 || name[i] == 0x7f)
			return "The name contains a control character.";
	}
	return NULL;
}

void
ml_reference_check_name(const char *name, const char *what)
{
	const char *problem = name_problem(name, strlen(name));

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid %s name: \"%s\"", what, name),
				 errdetail_internal("%s", problem),
				 errhint("A name has 1 to 63 bytes, without \"/\", \"@\" and control characters.")));
}

static void
refuse(const char *text, int length, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid model reference: \"%.*s\"",
					pg_mbcliplen(text, length, 4 * NAMEDATALEN), text),
			 errdetail_internal("%s", problem),
			 errhint("Write 'churn' for what is active, 'churn@fallback' for an alias, 'churn/7' for a version.")));
}

static void
parse_name(const char *text, int length, const char *part, int part_length, char *name)
{
	const char *problem = name_problem(part, part_length);

	if (problem != NULL)
		refuse(text, length, problem);
	memcpy(name, part, part_length);
	name[part_length] = '\0';
}

static int
parse_version(const char *text, int length, const char *digits, int ndigits)
{
	int64		version = 0;

	for (int i = 0; i < ndigits && version <= PG_INT32_MAX; i++)
	{
		if (digits[i] < '0' || digits[i] > '9')
			refuse(text, length, "After \"/\" comes the number of a version: digits only.");
		version = version * 10 + (digits[i] - '0');
	}
	if (version < 1 || version > PG_INT32_MAX)
		refuse(text, length, "After \"/\" comes the number of a version: 1 or more.");
	return (int) version;
}

void
ml_reference_parse(const char *text, int length, MlReference *reference)
{
	int			end = 0;

	while (end < length && text[end] != '/' && text[end] != '@')
		end++;
	parse_name(text, length, text, end, reference->model);
	reference->alias[0] = '\0';
	reference->version = 0;
	if (end == length)
		return;
	if (text[end] == '/')
	{
		reference->version = parse_version(text, length, text + end + 1, length - end - 1);
		return;
	}
	parse_name(text, length, text + end + 1, length - end - 1, reference->alias);
	if (strcmp(reference->alias, "active") == 0)
		reference->alias[0] = '\0';
}
