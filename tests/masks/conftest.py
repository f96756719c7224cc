import pytest
from tiny_networks import tiny_networks  # noqa: F401 - fixture


@pytest.fixture(scope="session")
def small_sam():
    """segment-anything's own classes, tiny, with random weights."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(0)
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=64, patch_size=16, embed_dim=16, depth=2, num_heads=2, out_chans=16, window_size=2
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=16, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=1, embedding_dim=16, mlp_dim=16, num_heads=2),
            transformer_dim=16,
            iou_head_hidden_dim=16,
        ),
    ).eval()
