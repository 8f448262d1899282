"""What is trained: base models, the adapters that are put onto them, and a very small one of our own.

backbone   a base model and its tokenizer: a folder, GGUF, masdsl's own store, or Hugging Face's hub
adapters   LoRA, saved with the base that it belongs to
tiny       a Llama of a few thousand weights, for tests and experiments
"""
