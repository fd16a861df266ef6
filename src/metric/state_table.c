/*
 * state_table.c
 *		States that are a table of classes by name: predicted against true.
 *
 * In memory the table is square and grows; as bytes it is the labels, in C
 * order, and the cells that are not 0. Values are worked out on labels in C
 * order, so that they do not depend on which came first.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "image.h"
#include "mb/pg_wchar.h"
#include "metric/state.h"
#include "utils/memutils.h"

#define FIRST_CAPACITY	4
#define SLOTS			2048	/* of the index, twice the labels that there can be */

typedef struct Table
{
	int			n;
	int			capacity;
	char	  **label;			/* terminated; in order of arrival */
	double	   *cell;			/* said * capacity + is */
	int16	   *slot;			/* index of labels, -1: free */
	char	   *positive;		/* or NULL */
} Table;

static void
begin(MlMetricState *state)
{
	MemoryContext cxt = state->hdr.eoh_context;
	Table	   *table = MemoryContextAllocZero(cxt, sizeof(Table));

	table->capacity = FIRST_CAPACITY;
	table->label = MemoryContextAllocZero(cxt, sizeof(char *) * FIRST_CAPACITY);
	table->cell = MemoryContextAllocZero(cxt, sizeof(double) * FIRST_CAPACITY * FIRST_CAPACITY);
	table->slot = MemoryContextAlloc(cxt, sizeof(int16) * SLOTS);
	memset(table->slot, -1, sizeof(int16) * SLOTS);
	state->data = table;
}

static void
grow(MlMetricState *state)
{
	Table	   *table = state->data;
	int			capacity = Min(2 * table->capacity, ML_STATE_LABELS);
	double	   *cell;

	if (table->n == ML_STATE_LABELS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a table of classes has more than %d classes", ML_STATE_LABELS),
				 errdetail("Every different text among predictions and labels is a class."),
				 errhint("Pass classes, not keys or numbers.")));
	cell = MemoryContextAllocZero(state->hdr.eoh_context, sizeof(double) * capacity * capacity);
	for (int i = 0; i < table->n; i++)
		memcpy(cell + i * capacity, table->cell + i * table->capacity, sizeof(double) * table->n);
	pfree(table->cell);
	table->cell = cell;
	table->label = repalloc(table->label, sizeof(char *) * capacity);
	table->capacity = capacity;
}

static int
find_label(MlMetricState *state, const char *label, int length)
{
	Table	   *table = state->data;
	uint32		at = hash_bytes((const unsigned char *) label, length) % SLOTS;
	char	   *copy;

	for (; table->slot[at] >= 0; at = (at + 1) % SLOTS)
	{
		const char *there = table->label[table->slot[at]];

		if (strncmp(there, label, length) == 0 && there[length] == '\0')
			return table->slot[at];
	}
	if (table->n == table->capacity)
		grow(state);
	copy = MemoryContextAlloc(state->hdr.eoh_context, length + 1);
	memcpy(copy, label, length);
	copy[length] = '\0';
	table->label[table->n] = copy;
	table->slot[at] = (int16) table->n;
	return table->n++;
}

static void
add_cell(MlMetricState *state, int said, int is, double weight)
{
	Table	   *table = state->data;

	table->cell[said * table->capacity + is] += weight;
}

void
ml_state_add_labels(MlMetricState *state, const char *said, int said_length,
					const char *is, int is_length, double weight)
{
	int			s = find_label(state, said, said_length);
	int			i = find_label(state, is, is_length);

	add_cell(state, s, i, weight);
	state->nrows++;
}

static void
refuse_positive(const char *one, const char *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the positive class differs from row to row"),
			 errdetail("It is \"%s\" and \"%s\".", one, other),
			 errhint("Pass the same class for every row.")));
}

void
ml_state_set_positive(MlMetricState *state, const char *positive, int length)
{
	Table	   *table = state->data;

	if (table->positive == NULL)
	{
		table->positive = MemoryContextAlloc(state->hdr.eoh_context, length + 1);
		memcpy(table->positive, positive, length);
		table->positive[length] = '\0';
	}
	else if (strlen(table->positive) != length || memcmp(table->positive, positive, length) != 0)
		refuse_positive(table->positive, pnstrdup(positive, length));
}

static void
merge(MlMetricState *into, MlMetricState *other)
{
	Table	   *to = into->data;
	Table	   *from = other->data;
	int		   *place = palloc(sizeof(int) * Max(from->n, 1));

	if ((to->positive == NULL) != (from->positive == NULL) ||
		(to->positive != NULL && strcmp(to->positive, from->positive) != 0))
		refuse_positive(to->positive ? to->positive : "", from->positive ? from->positive : "");
	for (int i = 0; i < from->n; i++)
		place[i] = find_label(into, from->label[i], strlen(from->label[i]));
	for (int s = 0; s < from->n; s++)
		for (int i = 0; i < from->n; i++)
			if (from->cell[s * from->capacity + i] > 0.0)
				add_cell(into, place[s], place[i], from->cell[s * from->capacity + i]);
	pfree(place);
}

/* ---- values ---- */

static int
compare_labels(const void *a, const void *b, void *arg)
{
	const Table *table = arg;

	return strcmp(table->label[*(const int *) a], table->label[*(const int *) b]);
}

/* numbers of the labels in C order */
static int *
sorted(Table *table)
{
	int		   *order = palloc(sizeof(int) * Max(table->n, 1));

	for (int i = 0; i < table->n; i++)
		order[i] = i;
	qsort_arg(order, table->n, sizeof(int), compare_labels, table);
	return order;
}

MlLabelled
ml_state_labelled(const MlMetricState *state)
{
	Table	   *table = state->data;
	int		   *order = sorted(table);
	MlLabelled	result = {table->n, palloc(sizeof(char *) * Max(table->n, 1)),
	palloc_extended(sizeof(double) * Max(table->n * table->n, 1), MCXT_ALLOC_HUGE), -1};

	for (int s = 0; s < table->n; s++)
	{
		result.label[s] = table->label[order[s]];
		if (table->positive != NULL && strcmp(result.label[s], table->positive) == 0)
			result.positive = s;
		for (int i = 0; i < table->n; i++)
			result.cell[s * table->n + i] = table->cell[order[s] * table->capacity + order[i]];
	}
	return result;
}

/*
 * ---- bytes: numbers of labels and of cells, length of the positive class + 1 or 0;
 * that class; labels with their lengths; said, is and weight of the cells that are not 0 ----
 */

#define HEAD	12

static int
count_cells(const Table *table)
{
	int			n = 0;

	for (int s = 0; s < table->n; s++)
		for (int i = 0; i < table->n; i++)
			n += table->cell[s * table->capacity + i] > 0.0;
	return n;
}

static Size
size(MlMetricState *state)
{
	const Table *table = state->data;
	Size		bytes = HEAD + (table->positive ? strlen(table->positive) : 0) + 12 * (Size) count_cells(table);

	for (int i = 0; i < table->n; i++)
		bytes += 4 + strlen(table->label[i]);
	return bytes;
}

static char *
put_text(char *at, const char *text)
{
	memcpy(at, text, strlen(text));
	return at + strlen(text);
}

static void
write_body(MlMetricState *state, char *at)
{
	Table	   *table = state->data;
	int		   *order = sorted(table);

	ml_image_put(at, table->n, 4);
	ml_image_put(at + 4, count_cells(table), 4);
	ml_image_put(at + 8, table->positive ? strlen(table->positive) + 1 : 0, 4);
	at += HEAD;
	if (table->positive != NULL)
		at = put_text(at, table->positive);
	for (int i = 0; i < table->n; i++)
	{
		ml_image_put(at, strlen(table->label[order[i]]), 4);
		at = put_text(at + 4, table->label[order[i]]);
	}
	for (int s = 0; s < table->n; s++)
		for (int i = 0; i < table->n; i++)
		{
			double		weight = table->cell[order[s] * table->capacity + order[i]];

			if (!(weight > 0.0))
				continue;
			ml_image_put(at, s, 2);
			ml_image_put(at + 2, i, 2);
			ml_image_put_double(at + 4, weight);
			at += 12;
		}
	pfree(order);
}

/* length bytes of text at *at, within left */
static const char *
take_text(const char **at, Size *left, Size length)
{
	const char *text = *at;

	if (length > *left || memchr(text, '\0', length) != NULL || !pg_verifymbstr(text, length, true))
		ml_metric_state_refuse("A class is not text.");
	*at += length;
	*left -= length;
	return text;
}

static void
read_labels(MlMetricState *state, const char **at, Size *left, uint64 n)
{
	Table	   *table = state->data;

	for (uint64 i = 0; i < n; i++)
	{
		const char *text;
		uint64		length;

		if (*left < 4)
			ml_metric_state_refuse("Their number is not that of classes.");
		length = ml_image_get(*at, 4);
		*at += 4;
		*left -= 4;
		text = take_text(at, left, length);
		(void) find_label(state, text, length);
		if (table->n != i + 1)
			ml_metric_state_refuse("A class is there twice.");
	}
}

static void
read_body(MlMetricState *state, const char *at, Size length)
{
	Size		left = length - HEAD;
	uint64		n = length >= HEAD ? ml_image_get(at, 4) : PG_UINT64_MAX;
	uint64		ncells;
	uint64		positive;

	if (n > ML_STATE_LABELS)
		ml_metric_state_refuse("Their number is not that of a table.");
	ncells = ml_image_get(at + 4, 4);
	positive = ml_image_get(at + 8, 4);
	at += HEAD;
	if (positive > 0)
		ml_state_set_positive(state, take_text(&at, &left, positive - 1), positive - 1);
	read_labels(state, &at, &left, n);
	if (left % 12 != 0 || left / 12 != ncells)
		ml_metric_state_refuse("Their number is not that of cells.");
	for (uint64 c = 0; c < ncells; c++, at += 12)
	{
		uint64		said = ml_image_get(at, 2);
		uint64		is = ml_image_get(at + 2, 2);
		double		weight = ml_image_get_double(at + 4);

		if (said >= n || is >= n || !(weight > 0.0) || isinf(weight))
			ml_metric_state_refuse("A cell is none of the table, or its weight is no number.");
		add_cell(state, said, is, weight);
	}
}

const MlStateBody ml_state_table = {begin, size, write_body, read_body, merge};
