/*
 * state_points.c
 *		States of clusters: their centres for the inertia, all points for the
 *		silhouette.
 *
 * Silhouette: Rousseeuw 1987, "Silhouettes: a graphical aid to the
 * interpretation and validation of cluster analysis". It compares every point
 * with every other, so that it takes no more than some thousand.
 */
#include "postgres.h"

#include <math.h>

#include "budget.h"
#include "image.h"
#include "interrupts.h"
#include "metric/state.h"
#include "utils/memutils.h"

#define MOST_CLUSTERS	10000
#define MOST_NUMBERS	(1 << 24)	/* doubles of a state */

/*
 * Rows of equal width: of clusters in order of their number weight, squares and
 * centre; of points weight and place.
 */
typedef struct Points
{
	int			width;			/* numbers of a point; 0: not known yet */
	int			n;
	int			capacity;
	int32	   *cluster;
	double	   *number;			/* stride of them each */
} Points;

#define AT_WEIGHT	0
#define AT_SQUARES	1			/* of clusters */

/* what comes before the place of a point */
static int
head(const MlMetricState *state)
{
	return state->kind == ML_STATE_CLUSTERS ? 2 : 1;
}

static int
stride(const MlMetricState *state)
{
	return ((Points *) state->data)->width + head(state);
}

static double *
row_of(const MlMetricState *state, int i)
{
	return ((Points *) state->data)->number + (Size) i * stride(state);
}

static void
begin(MlMetricState *state)
{
	state->data = MemoryContextAllocZero(state->hdr.eoh_context, sizeof(Points));
}

static int
most_rows(const MlMetricState *state)
{
	return state->kind == ML_STATE_CLUSTERS ? MOST_CLUSTERS : ML_STATE_POINTS_MOST;
}

static void
refuse_size(const MlMetricState *state)
{
	if (state->kind == ML_STATE_CLUSTERS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the inertia of too many clusters"),
				 errdetail("There are more than %d clusters, or %d numbers in their centres.", MOST_CLUSTERS, MOST_NUMBERS),
				 errhint("Pass the number of a cluster, not a key.")));
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the silhouette of too many points"),
			 errdetail("There are more than %d points, or %d numbers in them; every point is compared with every other.",
					   ML_STATE_POINTS_MOST, MOST_NUMBERS),
			 errhint("Take a sample: FROM points TABLESAMPLE BERNOULLI (1).")));
}

static void
set_width(MlMetricState *state, int width)
{
	Points	   *points = state->data;

	if (points->width == 0)
		points->width = width;
	if (points->width != width || width == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a point has %d numbers", width),
				 errdetail("Points before had %d.", points->width),
				 errhint("Pass the same columns for every row.")));
}

static void
reserve(MlMetricState *state, int n)
{
	Points	   *points = state->data;
	MemoryContext cxt = state->hdr.eoh_context;
	int			capacity = Min(Max(2 * points->capacity, 16), most_rows(state));

	if (n <= points->capacity)
		return;
	capacity = Max(capacity, n);
	if (n > most_rows(state) || (int64) n * stride(state) > MOST_NUMBERS)
		refuse_size(state);
	if (points->capacity == 0)
	{
		points->cluster = MemoryContextAlloc(cxt, sizeof(int32) * capacity);
		points->number = MemoryContextAllocHuge(cxt, sizeof(double) * stride(state) * capacity);
	}
	else
	{
		points->cluster = repalloc(points->cluster, sizeof(int32) * capacity);
		points->number = repalloc_huge(points->number, sizeof(double) * stride(state) * capacity);
	}
	points->capacity = capacity;
}

/* ---- points ---- */

void
ml_state_add_point(MlMetricState *state, int cluster, const double *x, int n, double weight)
{
	Points	   *points = state->data;
	double	   *row;

	set_width(state, n);
	reserve(state, points->n + 1);
	row = row_of(state, points->n);
	points->cluster[points->n++] = cluster;
	row[AT_WEIGHT] = weight;
	memcpy(row + head(state), x, sizeof(double) * n);
	state->nrows++;
}

static void
merge_points(MlMetricState *into, MlMetricState *other)
{
	Points	   *from = other->data;
	int64		nrows = into->nrows;

	for (int i = 0; i < from->n; i++)
		ml_state_add_point(into, from->cluster[i], row_of(other, i) + head(other), from->width,
						   row_of(other, i)[AT_WEIGHT]);
	into->nrows = nrows;
}

static double
distance(const double *a, const double *b, int width)
{
	double		sum = 0.0;

	for (int j = 0; j < width; j++)
		sum += (a[j] - b[j]) * (a[j] - b[j]);
	return sqrt(sum);
}

/* numbers of the clusters from 0 on in place of their own; how many there are */
static int
renumber(const Points *points, int *number)
{
	int		   *seen = palloc(sizeof(int) * points->n);
	int			n = 0;

	for (int i = 0; i < points->n; i++)
	{
		int			c = 0;

		while (c < n && seen[c] != points->cluster[i])
			c++;
		if (c == n)
			seen[n++] = points->cluster[i];
		number[i] = c;
	}
	pfree(seen);
	return n;
}

/* (b - a) / max(a, b) of one point; 0 for one that is alone in its cluster */
static double
silhouette_of(const MlMetricState *state, int i, const int *number, int n, double *sum, double *weight)
{
	const Points *points = state->data;
	const double *own = row_of(state, i);
	double		a;
	double		b = INFINITY;

	memset(sum, 0, sizeof(double) * n);
	memset(weight, 0, sizeof(double) * n);
	for (int j = 0; j < points->n; j++)
	{
		const double *other = row_of(state, j);

		if (j == i)
			continue;
		sum[number[j]] += other[AT_WEIGHT] * distance(own + head(state), other + head(state), points->width);
		weight[number[j]] += other[AT_WEIGHT];
	}
	if (!(weight[number[i]] > 0.0))
		return 0.0;
	a = sum[number[i]] / weight[number[i]];
	for (int c = 0; c < n; c++)
		if (c != number[i] && weight[c] > 0.0)
			b = fmin(b, sum[c] / weight[c]);
	return fmax(a, b) > 0.0 ? (b - a) / fmax(a, b) : 0.0;
}

double
ml_state_silhouette(const MlMetricState *state)
{
	const Points *points = state->data;
	int		   *number = palloc(sizeof(int) * Max(points->n, 1));
	int			n = renumber(points, number);
	double	   *sum = palloc(sizeof(double) * Max(n, 1));
	double	   *weight = palloc(sizeof(double) * Max(n, 1));
	double		total = 0.0;
	double		weights = 0.0;

	if (n < 2)
		return NAN;
	for (int i = 0; i < points->n; i++)
	{
		double		w = row_of(state, i)[AT_WEIGHT];

		CHECK_FOR_INTERRUPTS();
		total += w * silhouette_of(state, i, number, n, sum, weight);
		weights += w;
	}
	return weights > 0.0 ? total / weights : NAN;
}

/* ---- clusters ---- */

/* place of a cluster, made if it is not there */
static int
find_cluster(MlMetricState *state, int cluster)
{
	Points	   *points = state->data;
	int			low = 0;
	int			high = points->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (points->cluster[middle] < cluster)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < points->n && points->cluster[low] == cluster)
		return low;
	reserve(state, points->n + 1);
	memmove(points->cluster + low + 1, points->cluster + low, sizeof(int32) * (points->n - low));
	memmove(row_of(state, low + 1), row_of(state, low), sizeof(double) * stride(state) * (points->n - low));
	memset(row_of(state, low), 0, sizeof(double) * stride(state));
	points->cluster[low] = cluster;
	points->n++;
	return low;
}

/* rows of a weight around a centre, whose squared distances to it sum up to squares */
static void
add_around(MlMetricState *state, int cluster, const double *centre, int n, double weight, double squares)
{
	double	   *row;
	double	   *at;
	double		total;
	double		apart = 0.0;

	set_width(state, n);
	row = row_of(state, find_cluster(state, cluster));
	at = row + head(state);
	total = row[AT_WEIGHT] + weight;
	for (int j = 0; j < n; j++)
	{
		double		d = centre[j] - at[j];

		apart += d * d;
		at[j] += d * (weight / total);
	}
	row[AT_SQUARES] += squares + apart * (row[AT_WEIGHT] * weight / total);
	row[AT_WEIGHT] = total;
}

void
ml_state_add_to_cluster(MlMetricState *state, int cluster, const double *x, int n, double weight)
{
	add_around(state, cluster, x, n, weight, 0.0);
	state->nrows++;
}

static void
merge_clusters(MlMetricState *into, MlMetricState *other)
{
	Points	   *from = other->data;

	for (int i = 0; i < from->n; i++)
	{
		double	   *row = row_of(other, i);

		add_around(into, from->cluster[i], row + head(other), from->width, row[AT_WEIGHT], row[AT_SQUARES]);
	}
}

double
ml_state_inertia(const MlMetricState *state)
{
	const Points *points = state->data;
	double		squares = 0.0;
	double		weight = 0.0;

	for (int i = 0; i < points->n; i++)
	{
		squares += row_of(state, i)[AT_SQUARES];
		weight += row_of(state, i)[AT_WEIGHT];
	}
	return weight > 0.0 ? squares / weight : NAN;
}

/* ---- bytes: numbers of a point, number of rows; clusters; numbers ---- */

#define HEAD	8

static Size
size(MlMetricState *state)
{
	const Points *points = state->data;

	return HEAD + (Size) points->n * (4 + 8 * (Size) stride(state));
}

static void
write_body(MlMetricState *state, char *at)
{
	const Points *points = state->data;

	ml_image_put(at, points->width, 4);
	ml_image_put(at + 4, points->n, 4);
	at += HEAD;
	for (int i = 0; i < points->n; i++)
		ml_image_put(at + 4 * i, (uint32) points->cluster[i], 4);
	at += 4 * points->n;
	for (Size k = 0; k < (Size) points->n * stride(state); k++)
		ml_image_put_double(at + 8 * k, points->number[k]);
}

static void
check_rows(const MlMetricState *state)
{
	const Points *points = state->data;

	for (int i = 0; i < points->n; i++)
	{
		const double *row = row_of(state, i);

		for (int k = 0; k < stride(state); k++)
			if (isnan(row[k]) || (isinf(row[k]) && k != AT_SQUARES))
				ml_metric_state_refuse("There is something that is no number.");
		if (!(row[AT_WEIGHT] > 0.0))
			ml_metric_state_refuse("A weight is not positive.");
		if (state->kind == ML_STATE_CLUSTERS &&
			(!(row[AT_SQUARES] >= 0.0) || (i > 0 && points->cluster[i] <= points->cluster[i - 1])))
			ml_metric_state_refuse("The clusters are not in order.");
	}
}

static void
read_body(MlMetricState *state, const char *at, Size length)
{
	Points	   *points = state->data;
	uint64		width = length >= HEAD ? ml_image_get(at, 4) : 0;
	uint64		n = length >= HEAD ? ml_image_get(at + 4, 4) : 0;

	if (width < 1 || n < 1 || n > most_rows(state) || width > MOST_NUMBERS ||
		n * (width + head(state)) > MOST_NUMBERS ||
		length != HEAD + n * (4 + 8 * (width + head(state))))
		ml_metric_state_refuse("Their number is not that of points.");
	points->width = (int) width;
	reserve(state, (int) n);
	points->n = (int) n;
	at += HEAD;
	for (uint64 i = 0; i < n; i++)
		points->cluster[i] = (int32) (uint32) ml_image_get(at + 4 * i, 4);
	at += 4 * n;
	for (uint64 k = 0; k < n * stride(state); k++)
		points->number[k] = ml_image_get_double(at + 8 * k);
	check_rows(state);
}

const MlStateBody ml_state_clusters = {begin, size, write_body, read_body, merge_clusters};
const MlStateBody ml_state_points = {begin, size, write_body, read_body, merge_points};
