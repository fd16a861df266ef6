/*
 * memory.c
 *		Memory of a frame: counted, then allocated in its context.
 *
 * A column is megabytes that are filled once and then read in another order.
 * In pages of 4 kB the kernel's work for each page, and the processor's looking
 * for it, would cost more than reading the table, so that large pages are asked
 * for. Where there are none nothing else changes.
 */
#include "postgres.h"

#include <sys/mman.h>

#include "frame/memory.h"
#include "utils/memutils.h"

#define ML_LARGE_PAGES_FROM (1024 * 1024)	/* bytes; less is not worth a call of the kernel */
#define ML_PAGE 4096			/* advice begins at a page; refused where pages are larger */

static void *
ask_for_large_pages(void *memory, Size bytes)
{
#ifdef MADV_HUGEPAGE
	if (bytes >= ML_LARGE_PAGES_FROM)
	{
		char	   *first = (char *) TYPEALIGN_DOWN(ML_PAGE, memory);

		(void) madvise(first, (char *) memory + bytes - first, MADV_HUGEPAGE);
	}
#endif
	return memory;
}

void *
ml_frame_alloc(MlFrame *frame, Size bytes, const char *what)
{
	ml_budget_take(frame->budget, bytes, what);
	frame->memory += bytes;
	return ask_for_large_pages(MemoryContextAllocHuge(frame->cxt, Max(bytes, 1)), bytes);
}

void *
ml_frame_resize(MlFrame *frame, void *memory, Size bytes, Size wanted, const char *what)
{
	if (wanted > bytes)
		ml_budget_take(frame->budget, wanted, what);
	memory = repalloc_huge(memory, Max(wanted, 1));
	ml_budget_give(frame->budget, wanted > bytes ? bytes : bytes - wanted);
	frame->memory = frame->memory - bytes + wanted;
	return ask_for_large_pages(memory, wanted);
}

void
ml_frame_release(MlFrame *frame, void *memory, Size bytes)
{
	pfree(memory);
	frame->memory -= bytes;
	ml_budget_give(frame->budget, bytes);
}
