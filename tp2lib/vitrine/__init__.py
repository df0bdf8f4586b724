"""Vitrine: a small Stable Diffusion of product photos, and how it was made.

The weights in ``weights/`` load with plain diffusers and nothing of ours. The modules
beside them are the whole chain that made them, in the order it runs::

    words ─► scene ─► shapes, products, stage ─► render ─► captions
                                                              │
      model ─► autoencoder, edges ─► latents ─► denoiser ─► judge ─► evaluate

Run a step with ``python -m tp2lib.vitrine STEP``; ``--help`` lists them.
"""
