"""Networks of the transformers library, tiny, with random weights, in folders as they are downloaded."""

import pytest


@pytest.fixture(scope="session")
def tiny_networks(tmp_path_factory):
    """Folders with transformers' own Grounding DINO, OWLv2, CLIP and DINOv2, tiny, with random weights, by engine."""
    transformers = pytest.importorskip("transformers")
    import json
    import string

    import torch

    root = tmp_path_factory.mktemp("networks")

    def save(name, model, processor):
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
        return root / name

    def letters(name):
        """CLIP's tokenizer with a token for each letter."""
        (root / name).mkdir()
        words = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
        words += ["<|startoftext|>", "<|endoftext|>"]  # OWLv2 leaves out queries that begin with token 0
        (root / name / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
        (root / name / "merges.txt").write_text("#version: 0.2\n")
        return transformers.CLIPTokenizer.from_pretrained(root / name, model_max_length=40)

    def words(name):
        """BERT's tokenizer with a few words."""
        (root / name).mkdir()
        known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "red", "green", "book", "cup"]
        (root / name / "vocab.txt").write_text("\n".join(known))
        return transformers.BertTokenizer.from_pretrained(root / name)

    torch.manual_seed(0)
    layers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**layers, "vocab_size": 54, "max_position_embeddings": 40, "bos_token_id": 52, "eos_token_id": 53}
    parts = {"text_config": text, "vision_config": {**layers, "image_size": 32, "patch_size": 8}, "projection_dim": 16}
    swin = transformers.SwinConfig(
        image_size=32,
        patch_size=2,
        embed_dim=8,
        depths=[1] * 4,
        num_heads=[1] * 4,
        window_size=2,
        out_indices=[2, 3, 4],
    )
    dino = transformers.GroundingDinoConfig(
        backbone_config=swin,
        text_config={**layers, "model_type": "bert", "vocab_size": 10},
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=10,
    )
    owl = transformers.Owlv2ForObjectDetection(transformers.Owlv2Config(**parts))
    for parameter in owl.box_head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    vision = {**layers, "num_hidden_layers": 2, "image_size": 28, "patch_size": 7}
    pictures = transformers.BitImageProcessor(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    return {
        "dinov2": save("dinov2", transformers.Dinov2Model(transformers.Dinov2Config(**vision)), pictures),
        "dinov2-registers": save(
            "dinov2-registers",
            transformers.Dinov2WithRegistersModel(
                transformers.Dinov2WithRegistersConfig(**vision, num_register_tokens=3)
            ),
            pictures,
        ),
        "clip": save(
            "clip",
            transformers.CLIPModel(transformers.CLIPConfig(**parts)),
            transformers.CLIPProcessor(
                transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32), letters("clip")
            ),
        ),
        "owlv2": save(
            "owlv2",
            owl,
            transformers.Owlv2Processor(
                transformers.Owlv2ImageProcessor(size={"height": 32, "width": 32}), letters("owlv2")
            ),
        ),
        "grounding-dino": save(
            "grounding-dino",
            transformers.GroundingDinoForObjectDetection(dino),
            transformers.GroundingDinoProcessor(
                transformers.GroundingDinoImageProcessor(size={"shortest_edge": 32, "longest_edge": 48}),
                words("grounding-dino"),
            ),
        ),
    }
