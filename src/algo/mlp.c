/*
 * mlp.c
 *		Multilayer perceptrons of one or two hidden layers, by minibatches.
 *
 * Objective: (sum w loss(y, eta(x)) + l2/2 * sum of squared weights) / sum w
 *
 * with loss 1/2 (y - eta)^2 for numbers, y in units of its standard deviation,
 * and minus the log-likelihood for classes. Biases are free. num/network.c has
 * eta and the gradient; steps are Adam's (Kingma & Ba, ICLR 2015).
 *
 * Inputs are design columns, numbers about their mean in units of their
 * standard deviation, 0/1 columns about their share. Initial weights are
 * uniform: He et al., Delving deep into rectifiers (ICCV 2015) for relu, Glorot
 * & Bengio (AISTATS 2010) else.
 *
 * The last rows, a random part since canonical order is random, are not
 * learned from. What is judged by them after every pass over the others (epoch),
 * and kept if it is the best so far, is not where the steps have come to but the
 * mean of where they have been, older ones counting exponentially less, about
 * an epoch back (Polyak & Juditsky, SIAM J. Control and Optimization 30, 1992):
 * minibatches move weights about the minimum, and the mean is nearer to it. When
 * the loss has not got better for `patience` epochs the rate is divided by
 * RATE_STEP; after RATE_DROPS of that the fit ends.
 *
 * Rows are held in a pool, standardised, row by row. If they do not all fit,
 * blocks of them are drawn in random order. Every random number is a hash of
 * the seed and of what it is for.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "algo/mlp.h"
#include "errors.h"
#include "frame/hash.h"

#include <cblas.h>

#define MOST_UNITS		2048	/* of a hidden layer */
#define DEFAULT_UNITS	64
#define POOL_VALUES		(32 * 1024 * 1024)	/* doubles, about, in the pool */
#define REPORT_ROWS		65536	/* between two looks for interrupts */
#define LEAST_VALIDATION 10		/* rows; with fewer the training loss judges */
#define RATE_STEP		5.0
#define RATE_DROPS		1
#define LEAST_GAIN		1e-4	/* relative: less is no progress */
#define DIVERGED		10.0	/* times the loss of the best constant */

/* batch_rows when not given: about a 50th of the rows */
#define LEAST_BATCH		16
#define MOST_BATCH		256
#define BATCHES			50

/* what random numbers are for */
typedef enum Purpose
{
	FOR_WEIGHTS, FOR_BLOCKS, FOR_ROWS
} Purpose;

static const char *const activation_names[] = {"relu", "tanh", "logistic", NULL};

static const MlParam params[] = {
	{"hidden", ML_PARAM_INTEGERS, offsetof(MlMlpParams, hidden), NAN, 1, MOST_UNITS, NULL,
	"units of the hidden layers: one number, or two; 64 if not given"},
	{"activation", ML_PARAM_ENUM, offsetof(MlMlpParams, activation), ML_ACTIVATION_RELU, 0, 0, activation_names,
	"what the hidden units do to their sums"},
	{"l2", ML_PARAM_FLOAT, offsetof(MlMlpParams, l2), 1, 0, INFINITY, NULL,
	"penalty: l2 / 2 times the sum of squared weights is added to the sum of the losses"},
	{"learning_rate", ML_PARAM_FLOAT, offsetof(MlMlpParams, learning_rate), 0.005, 1e-10, 1000, NULL,
	"size of Adam's steps at the beginning"},
	{"batch_rows", ML_PARAM_INT, offsetof(MlMlpParams, batch_rows), 0, 0, 1048576, NULL,
	"rows that a step looks at; 0: a 50th of the rows, from 16 to 256"},
	{"max_epochs", ML_PARAM_INT, offsetof(MlMlpParams, max_epochs), 200, 1, 100000, NULL,
	"passes over the rows at most"},
	{"validation_share", ML_PARAM_FLOAT, offsetof(MlMlpParams, validation_share), 0.1, 0, 0.5, NULL,
	"share of the training rows that says when to stop; not learned from. 0: the training loss does"},
	{"patience", ML_PARAM_INT, offsetof(MlMlpParams, patience), 20, 1, 100000, NULL,
	"epochs without progress before the learning rate is lowered, and before the fit ends after that"},
	{NULL}
};

static uint64
random_of(const Mlp *m, Purpose purpose, uint64 a, uint64 b)
{
	uint64		hash = ml_hash_word(ml_hash_mix((uint64) m->fit->seed), purpose);

	return ml_hash_word(ml_hash_word(hash, a), b);
}

/* ---- the network ---- */

static void
layers(Mlp *m)
{
	const MlFit *fit = m->fit;
	const MlNumbers *hidden = &m->params->hidden;
	int			nhidden = hidden->n > 0 ? hidden->n : 1;

	if (nhidden > ML_NET_LAYERS - 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"hidden\" asks for %d hidden layers", nhidden),
				 errdetail("\"%s\" has one or two.", "mlp"),
				 errhint("Give one or two numbers of units: params => '{\"hidden\": [64, 32]}'.")));
	m->net.nlayers = nhidden + 1;
	m->net.size[0] = m->ninputs;
	for (int l = 0; l < nhidden; l++)
		m->net.size[l + 1] = hidden->n > 0 ? (int) hidden->value[l] : DEFAULT_UNITS;
	m->net.size[nhidden + 1] = fit->task == ML_TASKS_MULTICLASS ? fit->rows->nclasses : 1;
	m->net.activation = m->params->activation;
	m->net.loss = fit->task == ML_TASKS_REGRESSION ? ML_NET_SQUARED
		: fit->task == ML_TASKS_BINARY ? ML_NET_LOGIT : ML_NET_SOFTMAX;
	ml_net_layout(&m->net);
}

static void
initial_weights(Mlp *m)
{
	const MlNet *net = &m->net;

	for (int l = 0; l < net->nlayers; l++)
	{
		int			inputs = net->size[l];
		int			units = net->size[l + 1];
		bool		he = net->activation == ML_NET_RELU && l < net->nlayers - 1;
		double		bound = he ? sqrt(6.0 / Max(inputs, 1)) : sqrt(6.0 / (inputs + units));
		double	   *weight = m->pool.theta + net->weight[l];

		for (Size i = 0; i < (Size) inputs * units; i++)
			weight[i] = bound * (2 * ml_hash_unit(random_of(m, FOR_WEIGHTS, l, i)) - 1);
	}
}

int64
ml_mlp_batch_rows(const Mlp *m)
{
	if (m->params->batch_rows > 0)
		return m->params->batch_rows;
	return Max(LEAST_BATCH, Min(MOST_BATCH, m->nlearned / BATCHES));
}

static void
make_memory(Mlp *m)
{
	const MlFit *fit = m->fit;
	Size		p = Max(m->ninputs, 1);
	Size		rows;

	m->nblocks = (m->nlearned + ML_BLOCK_ROWS - 1) / ML_BLOCK_ROWS;
	m->pool_blocks = Min(m->nblocks, Max(1, (int64) (POOL_VALUES / (p * ML_BLOCK_ROWS))));
	m->pool_whole = (double) fit->rows->nrows * p <= POOL_VALUES;
	if (m->pool_whole)
		m->pool_blocks = m->nblocks;
	rows = m->pool_whole ? fit->rows->nrows : m->pool_blocks * ML_BLOCK_ROWS;
	m->block_order = ml_fit_alloc(fit, m->nblocks, sizeof(int64), "order of the rows");
	ml_pool_make(&m->pool, fit, &m->net, rows, ml_mlp_batch_rows(m));

	m->best = ml_fit_alloc(fit, m->net.nparameters, sizeof(double), "weights of the network");
	m->mean = ml_fit_alloc(fit, m->net.nparameters, sizeof(double), "weights of the network");
	m->gradient = ml_fit_alloc(fit, m->net.nparameters, sizeof(double), "weights of the network");
	m->adam.mean = ml_fit_alloc(fit, m->net.nparameters, sizeof(double), "weights of the network");
	m->adam.square = ml_fit_alloc(fit, m->net.nparameters, sizeof(double), "weights of the network");
	m->losses = ml_fit_alloc(fit, m->params->max_epochs, sizeof(double), "losses");
	m->validation_losses = ml_fit_alloc(fit, m->params->max_epochs, sizeof(double), "losses");
}

/* ---- rows ---- */

static void
report(Mlp *m, int64 rows)
{
	double		loss = m->epoch > 0 ? m->losses[m->epoch - 1] : NAN;

	m->fit->progress(m->fit->progress_arg, m->epoch * m->nlearned + rows,
					 m->params->max_epochs * m->nlearned, loss);
}

static void
report_batch(void *arg)
{
	report(arg, 0);
}

/* Fisher-Yates; round makes one shuffle different from the next */
static void
shuffle(Mlp *m, Purpose purpose, uint64 round, int64 n, int64 *order)
{
	for (int64 i = 0; i < n; i++)
		order[i] = i;
	for (int64 i = n - 1; i > 0; i--)
	{
		int64		j = (int64) (ml_hash_unit(random_of(m, purpose, round, i)) * (i + 1));
		int64		keep = order[i];

		order[i] = order[j];
		order[j] = keep;
		if (i % REPORT_ROWS == 0)
			report(m, 0);
	}
}

/* rows [first, first + n), standardised, to row at of the pool */
static void
read_rows(Mlp *m, int64 first, int n, int64 at)
{
	const MlDesignMatrix *rows = m->fit->rows;
	int			p = m->ninputs;
	double	   *x = m->pool.x + at * p;
	double	   *y = m->pool.y + at;
	double	   *weight = m->pool.weight + at;

	if (p > 0)
		rows->read(rows->arg, first, n, m->columns);
	for (int j = 0; j < p; j++)
	{
		const double *from = m->columns + (Size) j * n;

		for (int i = 0; i < n; i++)
			x[(Size) i * p + j] = (from[i] - m->shift[j]) * m->scale[j];
	}
	for (int i = 0; i < n; i++)
	{
		y[i] = rows->nclasses > 0 ? rows->y[first + i] : (rows->y[first + i] - m->y_shift) / m->y_scale;
		weight[i] = ml_mlp_weight_of(rows, first + i) / m->weight;
	}
}

/* blocks [first, ...) of the order go into the pool */
static void
fill_pool(Mlp *m, int64 first)
{
	int64		end = Min(first + m->pool_blocks, m->nblocks);

	m->pool_rows = 0;
	for (int64 b = first; b < end; b++)
	{
		int64		row = m->block_order[b] * ML_BLOCK_ROWS;
		int			n = (int) Min(ML_BLOCK_ROWS, m->nlearned - row);

		read_rows(m, row, n, m->pool_rows);
		m->pool_rows += n;
		report(m, first * ML_BLOCK_ROWS);
	}
}

/* n rows that judge, from the done-th of them, at row at of the pool */
static void
fill_validation(Mlp *m, int64 done, int64 n, int64 at)
{
	for (int64 i = 0; i < n; i += ML_BLOCK_ROWS)
	{
		read_rows(m, m->nlearned + done + i, (int) Min(ML_BLOCK_ROWS, n - i), at + i);
		report(m, 0);
	}
	for (int64 i = 0; i < n; i++)
		m->pool.order[at + i] = at + i;
}

/* ---- learning ---- */

/* the penalty's part, in the units of a mean over rows */
static void
add_penalty(Mlp *m)
{
	double		factor = m->params->l2 / (m->weight * m->fit->rows->nrows);

	for (int l = 0; l < m->net.nlayers; l++)
		cblas_daxpy(m->net.size[l] * m->net.size[l + 1], factor, m->pool.theta + m->net.weight[l], 1,
					m->gradient + m->net.weight[l], 1);
}

static void
take_mean(Mlp *m)
{
	int64		horizon = Max(1, m->nlearned / ml_mlp_batch_rows(m));
	double		share;

	m->steps++;
	share = 1.0 / Min(m->steps, horizon);
	for (Size i = 0; i < m->net.nparameters; i++)
		m->mean[i] += share * (m->pool.theta[i] - m->mean[i]);
}

/* one step over n rows of the pool; the sum of their losses */
static double
step(Mlp *m, int64 first, int64 n)
{
	double		loss = ml_pool_loss(&m->pool, first, n, m->gradient, report_batch, m);

	cblas_dscal((int) m->net.nparameters, 1.0 / n, m->gradient, 1);
	add_penalty(m);
	ml_adam_step(&m->adam, m->net.nparameters, m->gradient, m->pool.theta);
	take_mean(m);
	return loss;
}

/* all rows of the pool in random order, in batches of about equal size */
static double
learn_pool(Mlp *m, int64 first)
{
	int64		batches = (m->pool_rows + ml_mlp_batch_rows(m) - 1) / ml_mlp_batch_rows(m);
	double		loss = 0;

	shuffle(m, FOR_ROWS, (uint64) (m->epoch * m->nblocks + first), m->pool_rows, m->pool.order);
	for (int64 b = 0; b < batches; b++)
	{
		int64		from = m->pool_rows * b / batches;
		int64		to = m->pool_rows * (b + 1) / batches;

		loss += step(m, from, to - from);
	}
	return loss;
}

/* mean loss of the epoch, as of when each row had its turn */
static double
learn_epoch(Mlp *m)
{
	double		loss = 0;

	if (m->pool_whole && m->epoch > 0)
		return learn_pool(m, 0) / m->nlearned;
	shuffle(m, FOR_BLOCKS, m->epoch, m->nblocks, m->block_order);
	for (int64 first = 0; first < m->nblocks; first += m->pool_blocks)
	{
		fill_pool(m, first);
		loss += learn_pool(m, first);
	}
	return loss / m->nlearned;
}

/* of the weights in the pool */
static double
pool_validation_loss(Mlp *m)
{
	int64		room = m->pool_blocks * ML_BLOCK_ROWS;
	double		loss = 0;

	if (m->pool_whole)
		return ml_pool_loss(&m->pool, m->nlearned, m->nvalidation, NULL, report_batch, m) / m->nvalidation;
	for (int64 done = 0; done < m->nvalidation; done += room)
	{
		int64		n = Min(room, m->nvalidation - done);

		fill_validation(m, done, n, 0);
		loss += ml_pool_loss(&m->pool, 0, n, NULL, report_batch, m);
	}
	return loss / m->nvalidation;
}

/* of the mean weights */
static double
validation_loss(Mlp *m)
{
	Size		bytes = m->net.nparameters * sizeof(double);
	double		loss;

	memcpy(m->gradient, m->pool.theta, bytes);
	memcpy(m->pool.theta, m->mean, bytes);
	loss = pool_validation_loss(m);
	memcpy(m->pool.theta, m->gradient, bytes);
	return loss;
}

static void
refuse_divergence(const Mlp *m, double loss)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_NO_CONVERGENCE),
			 errmsg("the fit of \"%s\" diverged", "mlp"),
			 errdetail("After " INT64_FORMAT " epochs the loss is %g; the best constant has %g.",
					   m->epoch, loss, m->constant_loss),
			 errhint("Lower the learning rate, now %g: params => '{\"learning_rate\": 0.001}'.",
					 m->params->learning_rate)));
}

/* goes on with a lower rate; false if that was done often enough */
static bool
lower_rate(Mlp *m)
{
	if (m->drops == RATE_DROPS)
		return false;
	m->drops++;
	m->adam.rate /= RATE_STEP;
	m->adam.steps = 0;
	memset(m->adam.mean, 0, m->net.nparameters * sizeof(double));
	memset(m->adam.square, 0, m->net.nparameters * sizeof(double));
	m->progress_epoch = m->epoch;
	return true;
}

/* the end of an epoch: false when there is no more to be gained */
static bool
judge(Mlp *m, double loss)
{
	if (!isfinite(loss))
		refuse_divergence(m, loss);
	if (loss < m->best_loss)
	{
		m->best_loss = loss;
		m->best_epoch = m->epoch;
		memcpy(m->best, m->mean, m->net.nparameters * sizeof(double));
	}
	if (loss < m->progress_loss * (1 - LEAST_GAIN))
	{
		m->progress_loss = loss;
		m->progress_epoch = m->epoch;
	}
	return m->epoch - m->progress_epoch < m->params->patience || lower_rate(m);
}

static void
learn(Mlp *m)
{
	bool		more = true;

	m->best_loss = m->progress_loss = DBL_MAX;
	m->adam.rate = m->params->learning_rate;
	while (more && m->epoch < m->params->max_epochs)
	{
		double		loss = learn_epoch(m);

		if (!isfinite(loss))
			refuse_divergence(m, loss);
		m->losses[m->epoch] = loss;
		if (m->nvalidation > 0)
			loss = m->validation_losses[m->epoch] = validation_loss(m);
		m->epoch++;
		more = judge(m, loss);
	}
	if (m->best_loss > DIVERGED * Max(m->constant_loss, 1e-3))
		refuse_divergence(m, m->best_loss);
}

static void *
fit_rows(const MlFit *fit)
{
	Mlp		   *m = ml_fit_alloc(fit, 1, sizeof(Mlp), "mlp");

	m->fit = fit;
	m->params = fit->params;
	m->ninputs = fit->rows->ncolumns;
	layers(m);
	ml_require_rows(fit, "mlp", 2);
	m->nvalidation = (int64) floor(fit->rows->nrows * m->params->validation_share);
	if (m->nvalidation < LEAST_VALIDATION)
		m->nvalidation = 0;
	m->nlearned = fit->rows->nrows - m->nvalidation;
	m->shift = ml_fit_alloc(fit, m->ninputs, sizeof(double), "mlp");
	m->scale = ml_fit_alloc(fit, m->ninputs, sizeof(double), "mlp");
	m->columns = ml_fit_alloc(fit, (Size) Max(m->ninputs, 1) * ML_BLOCK_ROWS, sizeof(double), "block of rows");
	ml_mlp_standardise(m);
	if (fit->rows->nclasses > 0)
		ml_mlp_constant_loss(m);
	make_memory(m);
	initial_weights(m);
	if (m->pool_whole)
		fill_validation(m, 0, m->nvalidation, m->nlearned);
	learn(m);
	ml_pool_end(&m->pool);
	return m;
}

const MlAlgorithm ml_mlp = {
	.name = "mlp",
	.summary = "neural network of one or two hidden layers, by minibatches of Adam with early stopping",
	.tasks = ML_TASKS_REGRESSION | ML_TASKS_BINARY | ML_TASKS_MULTICLASS,
	.gives_probability = true,
	.params = params,
	.params_size = sizeof(MlMlpParams),
	.fit_rows = fit_rows,
	.finish = ml_mlp_finish,
};
