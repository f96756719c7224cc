"""The model that Nerfstudio trains: moving Gaussians, their features and their objects."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import OrientedBox
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackAttributes, TrainingCallbackLocation
from nerfstudio.models.base_model import ModelConfig
from nerfstudio.models.splatfacto import SplatfactoModel
from nerfstudio.pipelines.base_pipeline import VanillaPipeline
from nerfstudio.utils.colors import get_color
from nerfstudio.viewer.render_state_machine import RenderStateMachine
from torch import Tensor, nn

from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.learning.features import FeatureStageConfig
from trase_ns.learning.methods.options import (
    OPTIONS,
    CgcSettings,
    ClickSettings,
    DgdSettings,
    Method,
    Objects,
    Options,
    TraseOptions,
    UpliftOptions,
    check_options,
    converted,
)
from trase_ns.learning.methods.trase import DIMENSIONS
from trase_ns.learning.motion_evidence import motion_evidence
from trase_ns.learning.ssim import ssim
from trase_ns.learning.tracking import Tracker
from trase_ns.plugin.cameras import scene_camera
from trase_ns.plugin.densification import BoundedStrategy
from trase_ns.plugin.feature_training import PREFIX, FeatureTraining
from trase_ns.plugin.initialise import initial_parameters
from trase_ns.plugin.keeps_up import KeepsUp
from trase_ns.plugin.metrics import ImageMetrics
from trase_ns.plugin.preset import method_options, preset
from trase_ns.plugin.stages import FEATURES, Stage, stage_at, stages
from trase_ns.plugin.training_views import TrainingViews
from trase_ns.render import render_view
from trase_ns.scene.baked import KeyTimes
from trase_ns.scene.camera import Camera
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.moments import Moments
from trase_ns.scene.motion_basis import MotionBasis
from trase_ns.scene.spherical_harmonics import sh0_to_rgb
from trase_ns.segmentation.objects import Segmentation
from trase_ns.viewer.nerfstudio_host import NerfstudioPanel
from trase_ns.viewer.outputs import view_outputs
from trase_ns.viewer.playback import Playback

if TYPE_CHECKING:
    from trase_ns.plugin.datamanager import TraseDataManager

# Key of the space of features in the state of a checkpoint.
_SPACE = "space"
# Training views that tell what moves.
_EVIDENCE_VIEWS = 60


@dataclass
class TraseModelConfig(KeepsUp, ModelConfig):
    """Sizes and schedule of a run. Defaults that depend on the device are those of this machine."""

    _target: type = field(default_factory=lambda: TraseModel)

    warmup_steps: int = field(default_factory=lambda: preset().warmup_steps)
    """First steps, without deformation: the Gaussians find the scene's mean shape."""
    geometry_steps: int = field(default_factory=lambda: preset().geometry_steps)
    """Steps that train Gaussians and deformation, the warm-up among them."""
    feature_steps: int = field(default_factory=lambda: preset().feature_steps)
    """Steps after those that train the features, with everything else frozen. 0: geometry only."""
    method: Method = "trase"
    """What makes the features: "trase", "cgc" (Contrastive Gaussian Clustering), "click" (Click-Gaussian), "dgd"
    (distillation of feature maps), "uplift" (LUDVIG, without feature steps). `ns-train trase-METHOD` also has its
    steps and its rate."""
    joint: bool = False
    """Train the features along with the geometry, as in the papers: the feature steps are spread over the geometry
    steps after the warm-up. Of cgc and dgd."""

    sh_degree: int = field(default_factory=lambda: preset().sh_degree)
    """Degree of the spherical harmonics: 0 is one colour from everywhere."""
    sh_degree_interval: int = 1000
    """Steps after which one more degree is used."""
    max_gaussians: int = field(default_factory=lambda: preset().max_gaussians)
    """Number of Gaussians at which densification stops to add."""
    densify_from: int = field(default_factory=lambda: preset().densify_from)
    """First step of densification."""
    densify_until: int = field(default_factory=lambda: preset().densify_until)
    """Last step of densification."""
    densify_every: int = 100
    """Steps between densifications."""
    densify_gradient: float = field(default_factory=lambda: preset().densify_gradient)
    """Mean gradient of a Gaussian's place in the picture over which it is split or cloned."""
    densify_size: float = 0.01
    """Gaussians larger than this (in units of the normalised scene) are split, smaller ones cloned."""
    opacity_reset_every: int = field(default_factory=lambda: preset().opacity_reset_every)
    """Steps between resets of the opacity."""
    min_opacity: float = 0.005
    """Gaussians less opaque than this are removed."""
    max_scale: float = 1.0
    """Gaussians larger than this (in units of the normalised scene) are removed after the first opacity reset."""
    ssim_weight: float = 0.2
    """Share of the structural similarity in the colour loss (lambda of equation 2)."""
    background_color: Literal["random", "black", "white"] = "random"
    """Behind the Gaussians while training; pictures with transparency are put on the same colour."""
    rasterize_mode: Literal["classic", "antialiased"] = "classic"
    """How Gaussians smaller than a pixel are treated."""

    deformation: bool = True
    """Let the Gaussians move. Off: a scene at rest, for comparison."""
    field_type: Literal["mlp", "basis", "keys"] = field(default_factory=lambda: preset().field_type)
    """What moves the Gaussians: the paper's MLP, or rigid motions that all Gaussians share, which is much faster.
    "keys" is the baked motion of derived runs, which are not for training."""
    field_motions: int = field(default_factory=lambda: preset().field_motions)
    """Number of shared motions of the basis."""
    field_keys: int = field(default_factory=lambda: preset().field_keys)
    """Key times of the basis. 0: as many as there are times, half as many where one camera films."""
    field_smoothness: float = field(default_factory=lambda: preset().field_smoothness)
    """Weight of the acceleration of the basis in the loss."""
    field_depth: int = field(default_factory=lambda: preset().field_depth)
    """Hidden layers of the deformation field."""
    field_width: int = field(default_factory=lambda: preset().field_width)
    """Units of a hidden layer of the deformation field."""
    field_position_bands: int = field(default_factory=lambda: preset().field_position_bands)
    """Frequencies that encode the position for the deformation field."""
    field_time_bands: int = field(default_factory=lambda: preset().field_time_bands)
    """Frequencies that encode the time for the deformation field."""
    time_noise: float = 0.1
    """Noise on the time at the start, in frame intervals (annealed smooth training)."""
    time_noise_steps: int = field(default_factory=lambda: preset().time_noise_steps)
    """Steps over which that noise falls to zero."""

    features: FeatureStageConfig = field(default_factory=lambda: FeatureStageConfig(pixels=preset().feature_pixels))
    """The objective of the feature stage of trase."""
    cgc: CgcSettings = field(default_factory=lambda: converted(CgcSettings, method_options("cgc")))
    """The objective of cgc."""
    click: ClickSettings = field(default_factory=lambda: converted(ClickSettings, method_options("click")))
    """The objective of click."""
    dgd: DgdSettings = field(default_factory=lambda: converted(DgdSettings, method_options("dgd")))
    """The objective of dgd."""
    uplift: UpliftOptions = field(default_factory=UpliftOptions)
    """What uplift makes features of."""
    objects: Objects | None = None
    """How objects are found at the end: by what masks share in 4D, by clustering features, by candidates of two levels
    (of click alone), by a threshold on features, or not at all. Default: masks for trase and for uplift, candidates
    for click, threshold for cgc, dgd and uplift with maps."""
    lpips: Literal["auto", "on", "off"] = "auto"
    """Measure LPIPS in evaluations. auto: where its weights are on this machine already; on: download them."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Before there was a choice the field was the MLP.
        super().__setstate__({"field_type": "mlp", **state})

    def options(self) -> Options:
        """Return the options of the method; those of trase say nothing that `features` does not."""
        if self.method == "trase":
            return TraseOptions()
        settings = getattr(self, self.method)
        if isinstance(settings, UpliftOptions):
            return settings
        return converted(OPTIONS[self.method], settings, steps=self.feature_steps)

    def check(self) -> None:
        """Check what can be known of the feature options before anything is loaded.

        Raises:
            UserError: an option is out of its range, belongs to another method, or is missing.
        """
        if self.method == "uplift" and self.feature_steps:
            raise UserError(f"uplift makes its features without training: set {PREFIX}feature-steps 0.")
        if not self.finds_objects:
            return
        names = ("cgc", "click", "dgd", "uplift")
        defaults = type(self)()
        groups, usual = ({name: getattr(config, name) for name in names} for config in (self, defaults))
        check_options(self.method, groups, usual, PREFIX)
        if self.joint and self.method not in ("cgc", "dgd"):
            raise UserError(f"{PREFIX}joint is of cgc and dgd, not of {self.method}.")
        if self.objects == "candidates" and self.method != "click":
            raise UserError(f"{PREFIX}objects candidates is of click alone, not of {self.method}.")

    @property
    def finds_objects(self) -> bool:
        """Whether the training ends with features and objects."""
        return self.feature_steps > 0 or self.method == "uplift"

    @property
    def dimensions(self) -> int:
        """Numbers of a feature, 0 where these are known only when the first one is made."""
        return {"trase": DIMENSIONS, "cgc": self.cgc.dimensions, "click": self.click.dimensions}.get(self.method, 0)


class TraseModel(SplatfactoModel):
    """Moving Gaussians with features.

    A subclass of Splatfacto, so that stock Nerfstudio tools take its runs; the rendering, the schedule and the
    parameters are our own.
    """

    config: TraseModelConfig  # type: ignore[assignment]

    def populate_modules(self) -> None:
        """Make the parameters from the seed points."""
        config = self.config
        assert self.seed_points is not None
        self.gauss_params = initial_parameters(*self.seed_points, config.sh_degree, config.dimensions)
        self.field: DeformationField | MotionBasis | KeyTimes | None = None
        times = {frame.time for frame in self.kwargs["metadata"]["frames"]}
        if config.deformation and config.field_type == "basis":
            frames = len(self.kwargs["metadata"]["frames"])
            keys = config.field_keys or (len(times) if frames >= 2 * len(times) else len(times) // 2)
            self.field = MotionBasis(config.field_motions, max(keys, 2))
            motion = torch.zeros(self.num_points, config.field_motions)
            self.gauss_params["motion"] = nn.Parameter(motion)
        elif config.deformation and config.field_type == "keys":
            self.field = KeyTimes(torch.linspace(0, 1, max(config.field_keys, 2), dtype=torch.float64))
            self.gauss_params["motion"] = nn.Parameter(torch.zeros(self.num_points, max(config.field_keys, 2), 10))
        elif config.deformation:
            self.field = DeformationField(
                depth=config.field_depth,
                width=config.field_width,
                position_bands=config.field_position_bands,
                time_bands=config.field_time_bands,
            )
            self.field.set_box(self.gauss_params["means"].data)
        self.segmentation: Segmentation | None = None
        self.space: FeatureSpace | None = None
        self.stages: list[Stage] = stages(
            config.warmup_steps, config.densify_until, config.geometry_steps, config.feature_steps, config.joint
        )
        self.metrics = ImageMetrics(config.lpips)
        self.strategy = BoundedStrategy(
            prune_opa=config.min_opacity,
            grow_grad2d=config.densify_gradient,
            grow_scale3d=config.densify_size,
            prune_scale3d=config.max_scale,
            refine_start_iter=config.densify_from,
            refine_stop_iter=min(config.densify_until, config.geometry_steps),
            reset_every=config.opacity_reset_every,
            refine_every=config.densify_every,
            max_gaussians=config.max_gaussians,
        )
        self.strategy_state = self.strategy.initialize_state(scene_scale=1.0)
        self.frame_interval = 1.0 / max(len(times), 1)
        self.background_color = get_color("black" if config.background_color == "random" else config.background_color)
        self.crop_box = None
        self.step = 0
        self.learning = FeatureTraining(self)
        self.views: TrainingViews | None = None
        self.tracker: Tracker | None = None
        self.studio = Studio(lambda: self.scene, lambda: self.segmentation, space=lambda: self.space)
        self.playback = Playback(self.studio.scene, self.studio.moments)
        self._moments = Moments()
        self._in_viewer = False
        # Nerfstudio finds the panel as a public attribute.
        self.panel = NerfstudioPanel(self.studio, self.playback, lambda: self.settled)

    @property
    def scene(self) -> DynamicGaussians:
        """The scene as it is now; its tensors are the model's own parameters."""
        p = self.gauss_params
        return DynamicGaussians(
            means=p["means"],
            quats=p["quats"],
            log_scales=p["scales"],
            logit_opacities=p["opacities"].squeeze(-1),
            sh0=p["features_dc"],
            sh_rest=p["features_rest"],
            features=p["object_features"],
            field=self.field if self.step >= self.config.warmup_steps else None,
            motion=p.get("motion"),
        )

    @property
    def stage(self) -> Stage:
        """The stage of the present step."""
        return stage_at(self.step, self.stages)

    @property
    def settled(self) -> bool:
        """Whether the Gaussians stay as they are from now on: the geometry is trained."""
        return self.stage.name == FEATURES or self.step + 1 >= self.config.geometry_steps

    @property
    def active_sh_degree(self) -> int:
        """Degree of the harmonics that the present step uses."""
        return min(self.step // self.config.sh_degree_interval, self.config.sh_degree)

    @property
    def colors(self) -> Tensor:
        """[N, 3] colours of degree 0, for Nerfstudio's exporter."""
        return sh0_to_rgb(self.features_dc)

    @property
    def shs_0(self) -> Tensor:
        """[N, 3] coefficients of degree 0: ours are coefficients at every degree."""
        return self.features_dc

    def get_param_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return a group for each kind of parameter of the Gaussians, and one for the deformation field."""
        groups = {name: [parameter] for name, parameter in self.gauss_params.items()}
        if self.field is not None:
            name = "deformation" if isinstance(self.field, DeformationField) else "trajectories"
            groups[name] = list(self.field.parameters())
        return groups

    def get_training_callbacks(self, training_callback_attributes: TrainingCallbackAttributes):
        """Follow the steps; densify after those of the geometry."""
        if isinstance(self.field, KeyTimes):
            raise UserError("a derived run with baked motion is not for training: train the run that it came from")
        optimizers = training_callback_attributes.optimizers
        pipeline = cast(VanillaPipeline, training_callback_attributes.pipeline)
        background = self.background_color.to(self.device)
        self.learning.manager = manager = cast("TraseDataManager", pipeline.datamanager)
        self.views = TrainingViews(manager, lambda batch: self._target(batch, background))
        self.tracker = Tracker(self.views.at)
        before, after = TrainingCallbackLocation.BEFORE_TRAIN_ITERATION, TrainingCallbackLocation.AFTER_TRAIN_ITERATION
        return [
            TrainingCallback([before], self.step_cb, args=[optimizers]),
            TrainingCallback([after], self.step_post_backward),
        ]

    def step_cb(self, optimizers, step: int) -> None:
        """Note the step; lay out the motions when the deformation begins."""
        super().step_cb(optimizers, step)
        if isinstance(self.field, MotionBasis) and step == self.config.warmup_steps:
            self._lay_out_motions(self.field)

    def _lay_out_motions(self, field: MotionBasis) -> None:
        """Give the basis its motions, where pictures of other times contradict what the warm-up built."""
        assert self.views is not None
        background = self.background_color.to(self.device)
        moving = motion_evidence(self.scene.at(0.0), self.views.spread(_EVIDENCE_VIEWS), background)
        means, colors = self.gauss_params["means"].data, self.colors.detach().clamp(0, 1)
        self.gauss_params["motion"].data = field.place(means, colors, moving)

    def step_post_backward(self, step: int) -> None:
        """Clone, split and prune after a geometry step."""
        if self.stage.name != FEATURES:
            super().step_post_backward(step)
            self.studio.refresh(self.strategy_state.get("origin"), self.strategy_state.get("before"))

    def get_outputs(self, camera: Cameras) -> dict[str, Any]:
        """Render a Nerfstudio camera; in the feature stage of a training nothing is rendered.

        Args:
            camera: one camera, with its time.

        Returns:
            While training "rgb" [H, W, 3], "background" [3], and what was rendered: "camera" and "gaussians"; else
            what `view_outputs` names.
        """
        view = scene_camera(camera, self.device)
        if not self.training:
            return self._looked_at(view)
        if self.stage.name == FEATURES:
            return {"camera": view}
        hints = camera.metadata or {}
        scene = self.scene
        if isinstance(scene.field, MotionBasis):
            if self.tracker is not None:
                self.tracker.follow(scene.detach(), hints.get("reach"))
            if hints.get("new"):  # a thing lost in a new moment must not fade from the others
                scene = scene.detach()
        progress = min(self.step / max(self.config.time_noise_steps, 1), 1.0)
        noise = self.config.time_noise * self.frame_interval * (1 - progress)
        background = self._get_background_color()
        gaussians = scene.at(view.time, time_noise=noise)
        rendered = render_view(
            gaussians,
            view,
            background=background,
            sh_degree=self.active_sh_degree,
            rasterize_mode=self.config.rasterize_mode,
        )
        self.info = rendered.info
        self.strategy.step_pre_backward(self.gauss_params, self.optimizers, self.strategy_state, self.step, self.info)
        return {"rgb": rendered.color, "background": background, "camera": view, "gaussians": gaussians}

    def _looked_at(self, view: Camera) -> dict[str, Tensor]:
        """Render all that can be looked at: the edited scene for the viewer, the trained one for all other programs."""
        studio = self.studio
        if self._in_viewer:
            gaussians, selected = self.playback.at(view.time), studio.selection()
            segmentation = studio.segmentation()
        else:
            gaussians, selected = self._moments.at(self.scene, view.time), None
            segmentation = self.segmentation
        background = self.background_color.to(self.device)
        sh_degree = self.active_sh_degree
        if gaussians.sh_degree > self.config.sh_degree:
            sh_degree = gaussians.sh_degree  # of something that was brought in
        return view_outputs(
            gaussians,
            view,
            background,
            segmentation,
            selected,
            sh_degree,
            self.crop_box,
            self.config.rasterize_mode,
        )

    def get_outputs_for_camera(self, camera: Cameras, obb_box: OrientedBox | None = None) -> dict[str, Any]:
        """Render a Nerfstudio camera as it is outside training; what `obb_box` leaves out is not drawn.

        The viewer stops a rendering by an exception that a trace function raises at any line. Struck in the middle of
        an import, of loading a compiled kernel or of filling a cache, this process would never render again, so here
        it comes only before or after the rendering.

        Args:
            camera: one camera, with its time.
            obb_box: the part of the scene that is drawn, None for all of it.

        Returns:
            What `view_outputs` names.
        """
        tracer = sys.gettrace()
        stops = isinstance(getattr(tracer, "__self__", None), RenderStateMachine)
        if stops:
            sys.settrace(None)
        self._in_viewer = stops
        try:
            outputs = super().get_outputs_for_camera(camera, obb_box)
        finally:
            self._in_viewer = False
            if stops:
                sys.settrace(tracer)
        return outputs

    def get_metrics_dict(self, outputs: dict, batch: dict) -> dict[str, Tensor]:
        """Return PSNR and the number of Gaussians; nothing in the feature stage, where no picture is made."""
        if "rgb" not in outputs:
            return {"gaussian_count": torch.tensor(float(self.num_points))}
        target = self._target(batch, outputs["background"])
        error = (outputs["rgb"].detach() - target).square().mean()
        psnr = -10 * torch.log10(error.clamp_min(1e-10))
        return {"psnr": psnr, "gaussian_count": torch.tensor(float(self.num_points))}

    def get_loss_dict(self, outputs: dict, batch: dict, metrics_dict=None) -> dict[str, Tensor]:
        """Return the colour loss (equation 2), in the feature stage that of the method, in a joint training both."""
        if "rgb" not in outputs:
            return self.learning.after(outputs["camera"], batch)
        target = self._target(batch, outputs["background"])
        color = outputs["rgb"]
        difference = (color - target).abs().mean()
        weight = self.config.ssim_weight
        losses = {"color": (1 - weight) * difference + weight * (1 - ssim(color, target))}
        if isinstance(self.scene.field, MotionBasis):
            losses["smoothness"] = self.config.field_smoothness * self.scene.field.acceleration()
        if self.config.joint:
            losses |= self.learning.along(outputs["camera"], outputs["gaussians"], batch)
        return losses

    def _target(self, batch: dict, background: Tensor) -> Tensor:
        image = batch["image"].to(self.device).float() / 255.0
        return self.composite_with_background(image, background)

    def get_image_metrics_and_images(self, outputs: dict, batch: dict) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Compare a rendered view with the picture: PSNR, SSIM and, where its weights are, LPIPS."""
        color = outputs["rgb"]
        target = self._target(batch, outputs["background"].reshape(-1, 3)[0])
        pictures = {"img": torch.cat([target, color], dim=1)}
        if "segments" in outputs:
            pictures["segments"] = outputs["segments"]
        return self.metrics(color, target), pictures

    def update_to_step(self, step: int) -> None:
        """Take up the schedule at `step`, for a checkpoint that is loaded."""
        self.step = step

    def load_state_dict(self, state: dict, **kwargs):  # type: ignore[override]
        """Load a checkpoint of any number of Gaussians; the parameters stay the objects that optimizers hold."""
        for name, parameter in self.gauss_params.items():
            saved = state[f"gauss_params.{name}"]
            parameter.data = parameter.data.new_zeros(saved.shape)
        return nn.Module.load_state_dict(self, state, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the state for a checkpoint; features that are trained take half the room."""
        state = super().state_dict(*args, **kwargs)
        name = f"{kwargs.get('prefix', '')}gauss_params.object_features"
        if self.segmentation is not None and name in state:
            state[name] = state[name].half()
        return state

    def get_extra_state(self) -> dict:
        """Return the objects and what features mean, to be saved in the checkpoint."""
        return extra_state(self.segmentation, self.space)

    def set_extra_state(self, state: dict) -> None:
        """Take from a checkpoint what `get_extra_state` put there."""
        objects = {name: value for name, value in state.items() if name != _SPACE}
        self.segmentation = Segmentation.from_state(objects) if objects else None
        self.space = FeatureSpace.from_state(state[_SPACE]) if _SPACE in state else None


def extra_state(segmentation: Segmentation | None, space: FeatureSpace | None) -> dict:
    """Return what a checkpoint holds beside parameters: the objects, and what the features mean."""
    state = {} if segmentation is None else segmentation.to_state()
    return state if space is None else {**state, _SPACE: space.to_state()}
