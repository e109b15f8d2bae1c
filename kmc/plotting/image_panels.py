"""What was measured in micrographs: the image with the interface found, and what counts as void."""

from collections.abc import Sequence
from textwrap import wrap

from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kmc.analysis.segmentation import View
from kmc.plotting import style

_LOOKS = {  # colour of each kind of pixel, and its name
    View.METAL: (style.METAL, "metal"),
    View.ELECTROLYTE: (style.SKY, "electrolyte"),
    View.VOID: (style.VERMILLION, "void, counted"),
    View.IGNORED: (style.PURPLE, "not counted"),
    View.BAR: (style.GREY, "info bar"),
}
_HEAD_IN, _LINE_IN = 0.34, 0.125


@style.styled()
def segmentation_picture(views: Sequence[View], name: str, notes: Sequence[str]) -> Figure:
    """Each view in grey values, with the interface and the outlines of its voids, and its phases.

    - `notes`: sentences below: the result, how it was segmented, what was not counted.
    """
    height, width = views[0].shown.shape
    # Beside each other where the image is high, else one above the other.
    columns = 2 if height > 0.6 * width else 1
    each_in = style.PAGE_IN / columns * height / width + 0.05
    rows = 2 * len(views) // columns
    lines = [line for text in notes for line in wrap(text, 130, break_on_hyphens=False)]
    foot_in = 0.1 + _LINE_IN * len(lines)
    page = style.new_figure(style.PAGE_IN, _HEAD_IN + rows * each_in + foot_in)
    head, body, foot = style.stack(page, [_HEAD_IN, rows * each_in, foot_in])
    panels = body.subplots(rows, columns, squeeze=False).ravel()
    kinds = list(_LOOKS)
    colours = ListedColormap([_LOOKS[kind][0] for kind in kinds])
    for view, grey, phases in zip(views, panels[::2], panels[1::2], strict=True):
        grey.imshow(view.pixels, cmap="gray", origin="upper")
        void = view.shown == View.VOID
        if void.any() and not void.all():
            grey.contour(void, [0.5], colors=[style.VERMILLION], linewidths=0.7)
        phases.imshow(view.shown, colours, vmin=-0.5, vmax=len(kinds) - 0.5, origin="upper")
        for axes in (grey, phases):
            axes.set(xticks=[], yticks=[])
            axes.spines[["left", "bottom"]].set_visible(False)
            if view.interface is not None:
                # Between the pixels of the metal and those of the electrolyte.
                across = range(len(view.interface))
                axes.plot(across, view.interface - 0.5, color=style.BLUE, lw=0.8, scalex=False)
    seen = {kind for view in views for kind in kinds if (view.shown == kind).any()}
    keys = [Patch(color=_LOOKS[kind][0], label=_LOOKS[kind][1]) for kind in kinds if kind in seen]
    if views[0].interface is not None:
        keys.append(Patch(facecolor="none", edgecolor=to_rgba(style.BLUE), label="interface"))
    head.text(0.01, 0.55, style.plain(name), weight="bold", size=8.5, va="center")
    style.patch_key(head, keys, loc="right")
    foot.text(0.01, 0.98, style.plain("\n".join(lines)), va="top", color=style.BLACK, fontsize=6.5)
    return page
