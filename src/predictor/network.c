/*
 * network.c
 *		Networks: weights of one or two hidden layers and of the output, over the
 *		standardised design.
 *
 *		h_0 = z;  h_l = activation(W_l h_(l-1) + b_l);  eta = the last without it
 *
 * Every unit adds bias and products in the order of its inputs. A row keeps the
 * sums of all units side by side and goes through the inputs once; a block does
 * four rows of four units at a time. Both add in that same order, so that the
 * bits are the same.
 *
 * Importance: the products of the absolute weights along all paths from a
 * column to an output, added up, times the column's standard deviation, after
 * Garson, Interpreting neural-network connection weights, AI Expert 6(4), 1991;
 * a feature has the sum of its columns, and with several outputs their mean.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "predictor/linear.h"
#include "utils/memutils.h"

#define TILE_UNITS	4
#define TILE_ROWS	4
#define PART_ROWS	64			/* at a time: what the units give stays in the cache */
#define MAX_UNITS	65536		/* of a layer; keeps sizes far from overflow */

static void *
allocate(Size n, Size size)
{
	return palloc_extended(Max(n, 1) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- bytes ---- */

static void
network_write(MlWriter *w, const MlRecipe *recipe, const MlPredictor *predictor)
{
	const MlNetwork *network = (const MlNetwork *) predictor;

	ml_put_byte(w, network->link);
	ml_put_byte(w, network->activation);
	ml_put_doubles(w, network->shift, recipe->ndesign);
	ml_put_doubles(w, network->scale, recipe->ndesign);
	ml_put_byte(w, network->nlayers);
	for (int l = 0; l < network->nlayers; l++)
	{
		const MlNetworkLayer *layer = &network->layer[l];

		ml_put_int32(w, layer->nunits);
		ml_put_doubles(w, layer->weight, (Size) layer->nunits * layer->ninputs);
		ml_put_doubles(w, layer->bias, layer->nunits);
	}
}

static MlLink
read_link(MlCursor *c, MlTask task)
{
	Size		at = c->at;
	MlLink		link = ml_cursor_range(c, 1, 0, ML_LAST_LINK, "link");

	if ((task != ML_TASK_REGRESSION || link != ML_LINK_IDENTITY) &&
		(task != ML_TASK_BINARY || link != ML_LINK_LOGIT) &&
		(task != ML_TASK_MULTICLASS || link != ML_LINK_SOFTMAX))
		ml_cursor_refuse(c, at, psprintf("link %d", (int) link),
						 "identity for regression, logit for two classes, softmax for several");
	return link;
}

static MlPredictor *
network_read(MlCursor *c, const MlRecipe *recipe)
{
	MlNetwork  *network = allocate(1, sizeof(MlNetwork));
	int			noutputs = recipe->target.task == ML_TASK_MULTICLASS ? recipe->target.nclasses : 1;
	int			ninputs = recipe->ndesign;

	network->base.kind = ML_PREDICTOR_NETWORK;
	network->link = read_link(c, recipe->target.task);
	network->activation = ml_cursor_range(c, 1, 0, ML_ACTIVATION_LOGISTIC, "activation");
	network->shift = ml_cursor_doubles(c, recipe->ndesign, ML_FLOAT_FINITE, "shift");
	network->scale = ml_cursor_doubles(c, recipe->ndesign, ML_FLOAT_FINITE, "scale");
	network->nlayers = ml_cursor_range(c, 1, 2, 3, "number of layers");
	network->layer = allocate(network->nlayers, sizeof(MlNetworkLayer));
	for (int l = 0; l < network->nlayers; l++)
	{
		MlNetworkLayer *layer = &network->layer[l];
		bool		last = l == network->nlayers - 1;

		layer->ninputs = ninputs;
		layer->nunits = ml_cursor_range(c, 4, last ? noutputs : 1, last ? noutputs : MAX_UNITS, "number of units");
		layer->weight = ml_cursor_doubles(c, (Size) layer->nunits * layer->ninputs, ML_FLOAT_FINITE, "weight");
		layer->bias = ml_cursor_doubles(c, layer->nunits, ML_FLOAT_FINITE, "bias");
		ninputs = layer->nunits;
	}
	return &network->base;
}

/* ---- predicting ---- */

/* the weights of one input side by side, for rows */
static void
compile(MlPredictor *predictor, const MlRecipe *recipe)
{
	MlNetwork  *network = (MlNetwork *) predictor;

	for (int l = 0; l < network->nlayers; l++)
	{
		MlNetworkLayer *layer = &network->layer[l];
		Size		nunits = layer->nunits;
		Size		ninputs = layer->ninputs;

		layer->across = allocate(nunits * ninputs, sizeof(double));
		for (Size u = 0; u < nunits; u++)
			for (Size j = 0; j < ninputs; j++)
				layer->across[j * nunits + u] = layer->weight[u * ninputs + j];
	}
}

static int
noutputs(const MlPredictor *predictor)
{
	const MlNetwork *network = (const MlNetwork *) predictor;

	return network->layer[network->nlayers - 1].nunits;
}

static Size
work_size(const MlPredictor *predictor, const MlRecipe *recipe)
{
	const MlNetwork *network = (const MlNetwork *) predictor;
	Size		size = recipe->ndesign;

	for (int l = 0; l < network->nlayers; l++)
		size += network->layer[l].nunits;
	return size;
}

/* infinities may make NaN of an input; it stays NaN to the end */
static inline double
activated(MlActivation activation, double sum)
{
	if (activation == ML_ACTIVATION_RELU)
		return sum < 0 ? 0 : sum;
	return activation == ML_ACTIVATION_TANH ? tanh(sum) : ml_logistic(sum);
}

static void
row_layer(const MlNetworkLayer *layer, const double *in, double *out)
{
	int			nunits = layer->nunits;

	memcpy(out, layer->bias, nunits * sizeof(double));
	for (int j = 0; j < layer->ninputs; j++)
	{
		const double *weight = layer->across + (Size) j * nunits;
		double		x = in[j];

		for (int u = 0; u < nunits; u++)
			out[u] += weight[u] * x;
	}
}

/* the last hidden layer, in work */
static const double *
row_hidden(const MlNetwork *network, const MlRecipe *recipe, const MlRow *row, double *work)
{
	const double *in = work;

	ml_design_row(recipe, row, network->shift, network->scale, work);
	work += recipe->ndesign;
	for (int l = 0; l < network->nlayers - 1; l++)
	{
		int			nunits = network->layer[l].nunits;

		row_layer(&network->layer[l], in, work);
		for (int u = 0; u < nunits; u++)
			work[u] = activated(network->activation, work[u]);
		in = work;
		work += nunits;
	}
	return in;
}

static void
predict(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row,
		double *work, double *output)
{
	const MlNetwork *network = (const MlNetwork *) predictor;
	const double *hidden = row_hidden(network, recipe, row, work);

	row_layer(&network->layer[network->nlayers - 1], hidden, output);
	ml_link_apply(network->link, output, noutputs(predictor));
}

static int
ntransform(const MlPredictor *predictor)
{
	const MlNetwork *network = (const MlNetwork *) predictor;

	return network->layer[network->nlayers - 2].nunits;
}

static void
transform(const MlPredictor *predictor, const MlRecipe *recipe, const MlRow *row,
		  double *work, double *result)
{
	const double *hidden = row_hidden((const MlNetwork *) predictor, recipe, row, work);

	memcpy(result, hidden, ntransform(predictor) * sizeof(double));
}

/* ---- blocks ---- */

/* values of some rows, column by column */
typedef struct Columns
{
	double	   *value;
	int			stride;			/* from column to column */
} Columns;

/* the design of the block, and what the units give for a part of it */
static Size
block_work_size(const MlPredictor *predictor, const MlRecipe *recipe, int nrows)
{
	Size		of_row = work_size(predictor, recipe);

	return (Size) nrows * recipe->ndesign + PART_ROWS * (of_row - recipe->ndesign);
}

/* rows [first, n) of some units */
static void
unit_rows(const MlNetworkLayer *layer, int unit, int nunits, int first, int n, Columns in, Columns out)
{
	for (int u = unit; u < unit + nunits; u++)
	{
		const double *weight = layer->weight + (Size) u * layer->ninputs;

		for (int i = first; i < n; i++)
		{
			double		sum = layer->bias[u];

			for (int j = 0; j < layer->ninputs; j++)
				sum += weight[j] * in.value[(Size) j * in.stride + i];
			out.value[(Size) u * out.stride + i] = sum;
		}
	}
}

#if defined(__GNUC__)
typedef double MlPair __attribute__((vector_size(16)));
typedef double MlPairMem __attribute__((vector_size(16), aligned(8), may_alias));

/* TILE_ROWS rows, from first on, of TILE_UNITS units: eight sums that need not wait for each other */
static void
tile(const MlNetworkLayer *layer, int unit, int first, Columns in, Columns out)
{
	int			ninputs = layer->ninputs;
	const double *weight = layer->weight + (Size) unit * ninputs;
	MlPair		sum[TILE_UNITS][2];

	for (int u = 0; u < TILE_UNITS; u++)
		sum[u][0] = sum[u][1] = (MlPair) {layer->bias[unit + u], layer->bias[unit + u]};
	for (int j = 0; j < ninputs; j++)
	{
		const double *x = in.value + (Size) j * in.stride + first;
		MlPair		low = (MlPair) *(const MlPairMem *) x;
		MlPair		high = (MlPair) *(const MlPairMem *) (x + 2);

		for (int u = 0; u < TILE_UNITS; u++)
		{
			double		w = weight[(Size) u * ninputs + j];

			sum[u][0] += (MlPair) {w, w} * low;
			sum[u][1] += (MlPair) {w, w} * high;
		}
	}
	for (int u = 0; u < TILE_UNITS; u++)
	{
		double	   *to = out.value + (Size) (unit + u) * out.stride + first;

		*(MlPairMem *) to = (MlPairMem) sum[u][0];
		*(MlPairMem *) (to + 2) = (MlPairMem) sum[u][1];
	}
}
#else
#define tile(layer, unit, first, in, out) \
	unit_rows((layer), (unit), TILE_UNITS, (first), (first) + TILE_ROWS, (in), (out))
#endif

static void
part_layer(const MlNetworkLayer *layer, int n, Columns in, Columns out)
{
	int			tiled = n - n % TILE_ROWS;
	int			unit = 0;

	for (; unit + TILE_UNITS <= layer->nunits; unit += TILE_UNITS)
	{
		for (int i = 0; i < tiled; i += TILE_ROWS)
			tile(layer, unit, i, in, out);
		unit_rows(layer, unit, TILE_UNITS, tiled, n, in, out);
	}
	unit_rows(layer, unit, layer->nunits - unit, 0, n, in, out);
}

/* outputs of n <= PART_ROWS rows of the design */
static void
predict_part(const MlNetwork *network, int n, Columns in, double *work, double *output)
{
	int			width = noutputs(&network->base);

	for (int l = 0; l < network->nlayers; l++)
	{
		Columns		out = {work, PART_ROWS};

		part_layer(&network->layer[l], n, in, out);
		for (int u = 0; l < network->nlayers - 1 && u < network->layer[l].nunits; u++)
			for (int i = 0; i < n; i++)
				work[u * PART_ROWS + i] = activated(network->activation, work[u * PART_ROWS + i]);
		work += (Size) network->layer[l].nunits * PART_ROWS;
		in = out;
	}
	for (int i = 0; i < n; i++)
	{
		for (int o = 0; o < width; o++)
			output[(Size) i * width + o] = in.value[(Size) o * PART_ROWS + i];
		ml_link_apply(network->link, output + (Size) i * width, width);
	}
}

static void
predict_block(const MlPredictor *predictor, const MlRecipe *recipe, const MlBlock *block,
			  double *work, double *output)
{
	const MlNetwork *network = (const MlNetwork *) predictor;
	int			n = block->n;
	int			width = noutputs(predictor);
	double	   *z = work;

	ml_recipe_design_block(recipe, block, z);
	for (int j = 0; j < recipe->ndesign; j++)
		for (int i = 0; i < n; i++)
			z[(Size) j * n + i] = (z[(Size) j * n + i] - network->shift[j]) * network->scale[j];
	work += (Size) recipe->ndesign * n;
	for (int i = 0; i < n; i += PART_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		predict_part(network, Min(PART_ROWS, n - i), (Columns) {z + i, n}, work, output + (Size) i * width);
	}
}

/* ---- looking ---- */

/* paths[j], made of the paths[] of the layer's units */
static double *
paths_back(const MlNetworkLayer *layer, const double *paths)
{
	double	   *result = allocate(layer->ninputs, sizeof(double));

	for (int u = 0; u < layer->nunits; u++)
		for (int j = 0; j < layer->ninputs; j++)
			result[j] += paths[u] * fabs(layer->weight[(Size) u * layer->ninputs + j]);
	return result;
}

static double
column_deviation(const MlRecipe *recipe, int j)
{
	const MlDesignColumn *column = &recipe->design[j];
	double		share;

	if (column->kind == ML_DESIGN_NUMBER)
		return isnan(recipe->numbers[column->number].deviation) ? 0 : recipe->numbers[column->number].deviation;
	if (column->kind == ML_DESIGN_MISSING)
		share = recipe->numbers[column->number].null_share;
	else
	{
		const MlCategoryDesign *design = &recipe->category_design[recipe->features[column->feature].category];

		share = design->share[j - design->first_column];
	}
	return sqrt(Max(share * (1 - share), 0));
}

static void
importance(const MlPredictor *predictor, const MlRecipe *recipe, double *importance)
{
	const MlNetwork *network = (const MlNetwork *) predictor;
	int			width = noutputs(predictor);
	double	   *paths = allocate(width, sizeof(double));

	for (int o = 0; o < width; o++)
		paths[o] = 1.0 / width;
	for (int l = network->nlayers - 1; l >= 0; l--)
	{
		double	   *before = paths_back(&network->layer[l], paths);

		pfree(paths);
		paths = before;
	}
	for (int f = 0; f < recipe->nfeatures; f++)
		importance[f] = 0;
	for (int j = 0; j < recipe->ndesign; j++)
		importance[recipe->design[j].feature] += paths[j] * fabs(network->scale[j]) * column_deviation(recipe, j);
	pfree(paths);
}

const MlPredictorRoutine ml_network_routine = {
	.name = "network",
	.write = network_write,
	.read = network_read,
	.compile = compile,
	.noutputs = noutputs,
	.work_size = work_size,
	.predict = predict,
	.predict_block = predict_block,
	.block_work_size = block_work_size,
	.ntransform = ntransform,
	.transform = transform,
	.importance = importance,
};
