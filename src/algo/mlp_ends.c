/*
 * mlp_ends.c
 *		A network's fit before it learns - what inputs and target are in units of
 *		their spread, whatever their size - and after: the predictor and its facts.
 */
#include "postgres.h"

#include <math.h>

#include "algo/mlp.h"
#include "errors.h"

/* ---- standardising ---- */

double
ml_mlp_weight_of(const MlDesignMatrix *rows, int64 row)
{
	return rows->weight ? rows->weight[row] : 1;
}

/* what is known of a column, or the target, after each of two passes */
typedef struct Spread
{
	double		mean;
	double		least;
	double		most;
	double		squares;		/* of (x - mean) / range */
} Spread;

static double
range_of(const Spread *s)
{
	return Max(s->most - s->mean, s->mean - s->least);
}

/* total: weight so far, this row's included. Of any size: nothing is squared */
static inline void
spread_add(Spread *s, double x, double weight, double total)
{
	s->mean += (x - s->mean) * (weight / total);
	s->least = Min(s->least, x);
	s->most = Max(s->most, x);
}

static inline void
spread_square(Spread *s, double x, double weight)
{
	double		difference = (x - s->mean) / range_of(s);

	s->squares += weight * difference * difference;
}

static double
deviation_of(const Spread *s, double total)
{
	return range_of(s) > 0 ? range_of(s) * sqrt(s->squares / total) : 0;
}

static void
refuse_range(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("the range of \"%s\" is larger than a double precision number can be", column),
			 errdetail("Inputs of a network are taken about their mean in units of their standard deviation."),
			 errhint("Train on it in larger units.")));
}

/* pass 0 finds means, pass 1 squares */
static void
spread_pass(Mlp *m, int pass, Spread *spread)
{
	const MlDesignMatrix *rows = m->fit->rows;
	double		total = 0;

	for (int64 first = 0; first < rows->nrows; first += ML_BLOCK_ROWS)
	{
		int			n = (int) Min(ML_BLOCK_ROWS, rows->nrows - first);
		double		before = total;

		if (m->ninputs > 0)
			rows->read(rows->arg, first, n, m->columns);
		for (int j = 0; j <= m->ninputs; j++)
		{
			const double *x = j < m->ninputs ? m->columns + (Size) j * n : rows->y + first;

			total = before;
			for (int i = 0; i < n; i++)
			{
				double		w = ml_mlp_weight_of(rows, first + i);

				total += w;
				if (pass == 0)
					spread_add(&spread[j], x[i], w, total);
				else
					spread_square(&spread[j], x[i], w);
			}
		}
		m->fit->progress(m->fit->progress_arg, 0, rows->nrows * m->params->max_epochs, NAN);
	}
	m->weight = total / rows->nrows;
}

void
ml_mlp_standardise(Mlp *m)
{
	const MlDesignMatrix *rows = m->fit->rows;
	double		total;
	double		deviation;
	Spread	   *spread = ml_fit_alloc(m->fit, m->ninputs + 1, sizeof(Spread), "mlp");

	for (int j = 0; j <= m->ninputs; j++)
	{
		spread[j].least = INFINITY;
		spread[j].most = -INFINITY;
	}
	spread_pass(m, 0, spread);
	for (int j = 0; j <= m->ninputs; j++)
		if (!isfinite(spread[j].mean) || !isfinite(range_of(&spread[j])))
			refuse_range(j < m->ninputs ? rows->column_name[j] : "the target");
	spread_pass(m, 1, spread);
	total = m->weight * rows->nrows;
	for (int j = 0; j < m->ninputs; j++)
	{
		deviation = deviation_of(&spread[j], total);
		m->shift[j] = spread[j].mean;
		m->scale[j] = rows->scaled[j] && deviation > 0 && isfinite(1 / deviation) ? 1 / deviation : 1;
	}
	deviation = deviation_of(&spread[m->ninputs], total);
	m->y_scale = 1;
	m->constant_loss = 0.5;
	if (rows->nclasses > 0)
		return;
	m->y_shift = spread[m->ninputs].mean;
	if (deviation > 0)
		m->y_scale = deviation;
}

void
ml_mlp_constant_loss(Mlp *m)
{
	const MlDesignMatrix *rows = m->fit->rows;
	int			nclasses = rows->nclasses;
	double	   *share = ml_fit_alloc(m->fit, nclasses, sizeof(double), "mlp");

	for (int64 i = 0; i < rows->nrows; i++)
		share[(int) rows->y[i]] += ml_mlp_weight_of(rows, i) / (m->weight * rows->nrows);
	m->constant_loss = 0;
	for (int c = 0; c < nclasses; c++)
		if (share[c] > 0)
			m->constant_loss -= share[c] * log(share[c]);
}

/* ---- the result ---- */

static double *
copy_doubles(const double *from, Size n)
{
	double	   *copy = palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE);

	memcpy(copy, from, n * sizeof(double));
	return copy;
}

/* the last layer gives the target in its own units */
static void
unstandardise(const Mlp *m, MlNetworkLayer *last)
{
	for (int i = 0; i < last->ninputs; i++)
		last->weight[i] *= m->y_scale;
	last->bias[0] = last->bias[0] * m->y_scale + m->y_shift;
}

static MlPredictor *
make_network(const Mlp *m)
{
	MlNetwork  *network = palloc0(sizeof(MlNetwork));

	network->base.kind = ML_PREDICTOR_NETWORK;
	network->link = m->net.loss == ML_NET_SQUARED ? ML_LINK_IDENTITY
		: m->net.loss == ML_NET_LOGIT ? ML_LINK_LOGIT : ML_LINK_SOFTMAX;
	network->activation = m->params->activation;
	network->shift = copy_doubles(m->shift, m->ninputs);
	network->scale = copy_doubles(m->scale, m->ninputs);
	network->nlayers = m->net.nlayers;
	network->layer = palloc0(network->nlayers * sizeof(MlNetworkLayer));
	for (int l = 0; l < network->nlayers; l++)
	{
		MlNetworkLayer *layer = &network->layer[l];

		layer->ninputs = m->net.size[l];
		layer->nunits = m->net.size[l + 1];
		layer->weight = copy_doubles(m->best + m->net.weight[l], (Size) layer->ninputs * layer->nunits);
		layer->bias = copy_doubles(m->best + m->net.bias[l], layer->nunits);
	}
	if (m->net.loss == ML_NET_SQUARED)
		unstandardise(m, &network->layer[network->nlayers - 1]);
	return &network->base;
}

MlFitted *
ml_mlp_finish(void *fit)
{
	Mlp		   *m = fit;
	MlFitted   *fitted = ml_fitted_make();

	fitted->predictor = make_network(m);
	fitted->passes = (int) Min(m->epoch, PG_INT32_MAX);
	ml_fitted_fact(fitted, "epochs", m->epoch);
	ml_fitted_fact(fitted, "best_epoch", m->best_epoch);
	ml_fitted_fact(fitted, "batch_rows", ml_mlp_batch_rows(m));
	ml_fitted_fact(fitted, "parameters", m->net.nparameters);
	ml_fitted_fact(fitted, "loss", m->losses[m->best_epoch - 1]);
	if (m->nvalidation > 0)
	{
		ml_fitted_fact(fitted, "validation_rows", m->nvalidation);
		ml_fitted_fact(fitted, "validation_loss", m->best_loss);
	}
	ml_fitted_series(fitted, "loss", (int) m->epoch, m->losses);
	if (m->nvalidation > 0)
		ml_fitted_series(fitted, "validation_loss", (int) m->epoch, m->validation_losses);
	return fitted;
}
