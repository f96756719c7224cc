"""The methods `trase`, `trase-METHOD` and `trase-FAMILY` of ns-train."""

from __future__ import annotations

from nerfstudio.configs.base_config import LocalWriterConfig, LoggingConfig, MachineConfig, ViewerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from nerfstudio.pipelines.base_pipeline import VanillaPipelineConfig
from nerfstudio.plugins.types import MethodSpecification

from trase_ns.learning.methods.options import Method
from trase_ns.plugin.compatibility import install_error_messages, problem
from trase_ns.plugin.datamanager import TraseDataManagerConfig
from trase_ns.plugin.dataparser import TraseDataParserConfig
from trase_ns.plugin.model import TraseModelConfig
from trase_ns.plugin.preset import device, for_family, method_options, preset
from trase_ns.plugin.trainer import HOST, GeometryDecayConfig, TraseTrainerConfig

install_error_messages()

# The paper's.
_FEATURE_RATE = 0.0025


def _adam(rate: float, final: float | None = None, steps: int = 0) -> dict:
    scheduler = GeometryDecayConfig(lr_final=final, max_steps=steps) if final is not None else None
    return {"optimizer": AdamOptimizerConfig(lr=rate, eps=1e-15), "scheduler": scheduler}


def _method(
    name: str, description: str, model: TraseModelConfig, feature_rate: float = _FEATURE_RATE
) -> MethodSpecification:
    """Build a method with the defaults of `preset()`."""
    return MethodSpecification(
        config=TraseTrainerConfig(
            method_name=name,
            machine=MachineConfig(device_type=device()),
            steps_per_save=preset().steps_per_save,
            steps_per_eval_batch=0,
            steps_per_eval_image=500,
            steps_per_eval_all_images=0,
            logging=LoggingConfig(local_writer=LocalWriterConfig(enable=False), profiler="none"),
            pipeline=VanillaPipelineConfig(
                datamanager=TraseDataManagerConfig(dataparser=TraseDataParserConfig(), cache_images_type="uint8"),
                model=model,
            ),
            # Rates of the paper's program; the scene is normalised to an extent of one.
            optimizers={
                "means": _adam(1.6e-4 * 5, 1.6e-6 * 5),
                "scales": _adam(0.005),
                "quats": _adam(0.001),
                "features_dc": _adam(0.0025),
                "features_rest": _adam(0.0025 / 20),
                "opacities": _adam(0.05),
                "object_features": _adam(feature_rate),
                "motion": _adam(0.02, 0.002),
                "trajectories": _adam(2e-3, 2e-5),
                "deformation": _adam(8e-4, 1.6e-6, preset().deformation_lr_steps),
            },
            viewer=ViewerConfig(websocket_host=HOST, num_rays_per_chunk=1 << 15),
            vis="viewer+tensorboard",
        ),
        description=description + (f" NOT USABLE HERE: {problem()}" if problem() else ""),
    )


def _features_by(method: Method, what: str) -> MethodSpecification:
    """Build the method that reconstructs as `trase` does, and makes features by another method."""
    options = method_options(method)
    description = f"TRASE's reconstruction with features by {what}."
    model = TraseModelConfig(method=method, feature_steps=getattr(options, "steps", 0))
    return _method(f"trase-{method}", description, model, getattr(options, "learning_rate", _FEATURE_RATE))


def _family(family: str, what: str) -> MethodSpecification:
    """Build the method of a family of data sets."""
    with for_family(family):
        return _method(f"trase-{family}", f"TRASE with the schedule for {what}.", TraseModelConfig())


trase = _method("trase", "TRASE: reconstruct a moving scene and find its objects.", TraseModelConfig())
cgc = _features_by("cgc", "Contrastive Gaussian Clustering: pixels against the prototypes of segments")
click = _features_by("click", "Click-Gaussian: wholes and parts in one feature, guided by all views")
dgd = _features_by("dgd", "DGD: distillation of feature maps, which it needs (--pipeline.model.dgd.maps)")
uplift = _features_by("uplift", "LUDVIG: uplifted from masks or feature maps, without training")
nerf_ds = _family("nerf-ds", "NeRF-DS")
hypernerf = _family("hypernerf", "HyperNeRF and Nerfies")
dnerf = _family("dnerf", "D-NeRF's synthetic scenes")
dycheck = _family("dycheck", "DyCheck's iPhone scenes")
neu3d = _family("neu3d", "Neu3D (several cameras)")
immersive = _family("immersive", "Immersive Light Field Video (several cameras)")
technicolor = _family("technicolor", "Technicolor (several cameras)")
